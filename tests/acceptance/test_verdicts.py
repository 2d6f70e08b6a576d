"""A verdict is never more favorable than the figures."""

from __future__ import annotations

import csv
import io
import random
import re
from pathlib import Path

import hornbook
from tests.acceptance.common import QUICK, SMALL, Cap, report, row, sentences, trained, typed


def test_a_bigram_is_not_called_learned_where_counts_are_better(
    tmp_path: Path, capsys: Cap
) -> None:
    out = trained(capsys, "names", "--model", "bigram", "--steps", "300", "--out", tmp_path / "r")
    verdict = row(out, "verdict")
    assert verdict.startswith("counts are better")
    assert "learned:" not in verdict
    assert re.search(r"above the \d\.\d{4} of n-grams of order \d", verdict)
    assert "through its training text" in verdict
    assert re.match(
        r"\d\.\d{4} nats per token, \d\.\d{4} bits per byte, by n-grams of order \d, the best of 1 to",
        row(out, "counts"),
    )
    assert "through the training part" in row(out, "passes")


def test_a_model_that_read_a_fifth_of_its_text_is_not_called_learned(
    tmp_path: Path, capsys: Cap
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(sentences(2000)))
    out = trained(
        capsys, text, "--model", "gpt", *SMALL, "--steps", "25", "--training.batch-size", "8",
        "--out", tmp_path / "r",
    )  # fmt: skip
    verdict = row(out, "verdict")
    assert not verdict.startswith("learned")
    assert re.search(r"it went only 0\.\d+ times through its training text", verdict)
    assert re.search(r"try --minutes \d", row(out, "advice"))


def test_counts_and_a_mixture_with_them_are_offered_where_they_are_better(
    tmp_path: Path, capsys: Cap
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(sentences(1500)))
    out = trained(
        capsys, text, "--model", "gpt", *SMALL, "--steps", "150", "--training.batch-size", "16",
        "--out", tmp_path / "r",
    )  # fmt: skip
    found = report(tmp_path / "r")
    assert found["validation"]["nats"] > found["counts"]["loss"]
    assert found["counts"]["seconds"] < 30
    assert row(out, "verdict").startswith("counts are better")
    offered = row(out, "next")
    assert "--model ngram" in offered or "hornbook mix" in offered


def test_a_model_trained_too_long_on_few_titles_is_not_called_learned(
    tmp_path: Path, capsys: Cap
) -> None:
    text = tmp_path / "titles.txt"
    draw = random.Random(0)
    titles = ["".join(draw.choices("aeiou lmnrst", k=12)) for _ in range(200)]
    text.write_text("\n".join(titles))
    out = trained(
        capsys, text, "--model", "mlp", "--steps", "1500", "--batch-size", "32",
        "--model.n-hidden", "64", "--training.eval-count", "5", "--out", tmp_path / "r",
    )  # fmt: skip
    found, verdict = report(tmp_path / "r"), row(out, "verdict")
    last = [line for line in hornbook.load(tmp_path / "r").log if "val_loss" in line][-1]
    assert last["loss"] + 1 < last["val_loss"]
    assert not verdict.startswith("learned")
    assert "appear verbatim in the training part" in verdict or "rose to" in verdict
    assert not found["verdict"]["good"]
    assert row(out, "advice")


def test_two_seeds_of_one_setting_are_one_setting(
    words_file: Path, tmp_path: Path, capsys: Cap
) -> None:
    for seed in "12":
        trained(
            capsys, words_file, "--model", "bigram", "--steps", "60", "--seed", seed,
            "--out", tmp_path / seed,
        )  # fmt: skip
    code, out, _ = typed(capsys, "compare", tmp_path / "1", tmp_path / "2")
    assert code == 0
    assert "real" not in out
    assert "2 seeds" in out


def test_seeds_are_trained_and_compared_in_every_form(
    words_file: Path, tmp_path: Path, capsys: Cap
) -> None:
    arguments = (
        words_file, "--model", "bigram", "--lr", "0.01,0.1", "--steps", "20", "--seeds", "1,2",
        "--out", tmp_path / "s", *QUICK,
    )  # fmt: skip
    code, out, err = typed(capsys, "sweep", *arguments)
    assert code == 0, err
    assert "learning_rate" in out
    runs = sorted((tmp_path / "s").glob("*/seed-*"))
    assert len(runs) == 4
    times = [(run / "model.safetensors").stat().st_mtime_ns for run in runs]
    assert typed(capsys, "sweep", *arguments)[0] == 0  # what is finished is not trained again
    assert times == [(run / "model.safetensors").stat().st_mtime_ns for run in runs]
    code, out, _ = typed(capsys, "compare", *runs, "--format", "csv")
    assert code == 0
    assert {len(line) for line in csv.reader(io.StringIO(out))} == {
        len(out.splitlines()[0].split(","))
    }
    assert typed(capsys, "compare", *runs, "--format", "markdown")[1].startswith("|")
    assert r"\begin{tabular}" in typed(capsys, "compare", *runs, "--format", "latex")[1]
    assert typed(capsys, "compare", *runs, "--out", tmp_path / "c.pdf")[0] == 0
    assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF")


def test_single_runs_are_compared_on_these_documents_with_one_seed_each(
    words_file: Path, tmp_path: Path, capsys: Cap
) -> None:
    for model in ("bigram", "mlp"):
        trained(capsys, words_file, "--model", model, "--steps", "20", "--out", tmp_path / model)
    out = typed(capsys, "compare", tmp_path / "bigram", tmp_path / "mlp")[1]
    assert "on these documents, one seed each" in out


def test_a_ladder_says_which_rung_it_is_at_and_which_got_too_little(
    tmp_path: Path, capsys: Cap
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(sentences(1500)))
    code, out, err = typed(
        capsys, "ladder", text, "--rungs", "counts-4,bigram,mlp", "--steps", "2",
        "--out", tmp_path / "l", *QUICK,
    )  # fmt: skip
    assert code == 0, err
    for number, rung in enumerate(("counts-4", "bigram", "mlp"), 1):
        assert f"rung {number} of 3: {rung}" in err
    assert "mlp (too little training)" in out
    assert "mlp got too little training to be compared: it went 0." in out
    assert "too little training" in (tmp_path / "l" / "ladder.svg").read_text()
