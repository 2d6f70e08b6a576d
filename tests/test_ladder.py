"""Ladder, comparison and learning-rate sweep."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hornbook
from hornbook import presets
from hornbook.cli.main import main
from hornbook.diagnostics.compare import Difference, compare, differences, measure
from hornbook.errors import ConfigError, DataError, RunError
from hornbook.evaluate import token_nats
from hornbook.ladder import climb, passed
from hornbook.mixing import mix
from hornbook.run import Run
from hornbook.training.lr_finder import find_learning_rate, suggest
from hornbook.training.plan import make_plan

FAST = {"training": {"steps": 4, "evaluations": 1, "samplings": 0}}


@pytest.fixture
def words_file(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    parts = ["ba", "ko", "mi", "tu", "re", "la"]
    path.write_text("\n".join(a + b + c for a in parts for b in parts for c in parts))
    return path


def test_paired_differences_are_those_computed_by_hand(words_file: Path, tmp_path: Path) -> None:
    runs = [
        hornbook.train(
            str(words_file),
            model="ngram",
            out=tmp_path / f"r{order}",
            settings={"model.order": order},
        )
        for order in (2, 3)
    ]
    measured, (found,) = compare(runs)
    part = runs[0].part("val")
    losses = [token_nats(run.model, part) for run in runs]
    edges = part.starts[:-1]
    d = np.add.reduceat(losses[0] - losses[1], edges)
    sizes = np.diff(part.starts)
    sign = 1 if measured[1].standing.validation < measured[0].standing.validation else -1
    mean = d.sum() / sizes.sum()
    residual = d - mean * sizes
    error = math.sqrt((residual**2).sum() * len(d) / (len(d) - 1)) / sizes.sum()
    assert found.mean == pytest.approx(sign * mean)
    assert found.standard_error == pytest.approx(error)
    assert found.unit == "nats per token"
    assert ("real" in found.sentence) == (abs(mean) > 2 * error)


def test_a_run_does_not_differ_from_itself(names_run: Run) -> None:
    _, (found,) = compare([names_run, names_run])
    assert found.mean == 0
    assert "alike" in found.sentence


def test_sentences_say_whether_a_difference_is_real() -> None:
    real = Difference("a", "b", "nats per token", 0.05, 0.01, 100)
    assert real.sentence.startswith("a is better than b by 0.0500")
    unclear = replace(real, mean=0.015)
    assert "cannot be told apart" in unclear.sentence
    assert "1.5 standard errors" in unclear.sentence


def test_different_tokenizers_are_compared_in_bits_per_byte(
    words_file: Path, tmp_path: Path
) -> None:
    runs = [
        hornbook.train(
            str(words_file), model="ngram", out=tmp_path / kind, settings={"tokenizer.kind": kind}
        )
        for kind in ("char", "byte")
    ]
    measured, (found,) = compare(runs)
    assert found.unit == "bits per byte"
    bits = [m.standing.bits_per_byte for m in measured]
    assert found.mean == pytest.approx(max(bits) - min(bits))


def test_streams_are_compared_in_stretches_of_the_same_text(tmp_path: Path) -> None:
    text = "".join(f"{i * i} grün bottles,\n\nhanging on the wall. " for i in range(900))
    (tmp_path / "b.txt").write_text(text, "utf-8")
    runs = [
        hornbook.train(
            str(tmp_path / "b.txt"), model="ngram", out=tmp_path / kind,
            settings={"tokenizer.kind": kind},
        )
        for kind in ("char", "byte")
    ]  # fmt: skip
    a, b = (measure(run, run.path.name) for run in runs)
    assert a.bytes.sum() == b.bytes.sum() == len(runs[0].split().validation[0].encode())
    assert len(a.bytes) == len(b.bytes) > 2
    (found,) = differences([a, b])
    assert found.mean >= 0


def test_runs_on_different_texts_are_refused(
    names_run: Run, words_file: Path, tmp_path: Path
) -> None:
    other = hornbook.train(str(words_file), model="ngram", out=tmp_path / "other")
    with pytest.raises(DataError, match=r"different validation texts \(sha256 \w{16} and \w{16}\)"):
        compare([names_run, other])
    assert main(["compare", str(names_run.path), str(other.path)]) == 1


def test_the_ladder_trains_every_rung_once(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ladder"
    command = ["ladder", str(words_file), "--out", str(out)]
    command += ["--rungs", "counts-2,counts-4,bigram", "--training.steps", "4"]
    assert main(command) == 0
    captured = capsys.readouterr()
    for word in ("counts-2", "counts-4", "bigram", "bits/byte", "new", "±", "standard error"):
        assert word in captured.out
    facts = json.loads((out / "ladder.json").read_text())
    assert [row["name"] for row in facts["standings"]] == ["counts-2", "counts-4", "bigram"]
    assert (out / "ladder.png").read_bytes().startswith(b"\x89PNG")
    before = (out / "bigram" / "model.safetensors").stat().st_mtime_ns
    ladder = climb(
        str(words_file), rungs=["bigram"], out=out, settings={"training": {"steps": "4"}}
    )
    assert (out / "bigram" / "model.safetensors").stat().st_mtime_ns == before
    assert ladder.standings[0].name == "bigram"


def test_a_ladder_goes_on_after_an_interruption(words_file: Path, tmp_path: Path) -> None:
    from hornbook.training.callbacks import Callback
    from hornbook.training.loop import Interrupted

    class Stop(Callback):
        def logged(self, record: dict[str, object]) -> None:
            import signal

            if record["step"] == 2:
                signal.raise_signal(signal.SIGINT)

    settings = {"training": {"steps": 4, "evaluations": 2, "samplings": 0}}
    with pytest.raises(Interrupted):
        climb(
            str(words_file), rungs=["counts-2", "bigram"], out=tmp_path / "l", settings=settings,
            callbacks=[Stop()],
        )  # fmt: skip
    ladder = climb(
        str(words_file), rungs=["counts-2", "bigram"], out=tmp_path / "l", settings=settings
    )
    assert [s.name for s in ladder.standings] == ["counts-2", "bigram"]
    log = Run.load(tmp_path / "l" / "bigram").log
    assert [r["step"] for r in log] == [1, 2, 3, 4]


def test_a_ladder_is_not_mixed_with_something_else(words_file: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    with pytest.raises(RunError, match="is no ladder"):
        climb(str(words_file), out=tmp_path / "full")
    climb(str(words_file), rungs=["counts-2"], out=tmp_path / "l")
    with pytest.raises(RunError, match="another text or with other settings"):
        climb(str(words_file), rungs=["counts-2"], out=tmp_path / "l", settings=FAST)
    with pytest.raises(ConfigError, match="no such rung; did you mean 'counts-4'"):
        climb(str(words_file), rungs=["count-4"], out=tmp_path / "m")


@pytest.mark.parametrize("documents", [True, False])
def test_the_ladder_has_every_model(documents: bool) -> None:
    from hornbook.models.registry import MODELS

    rungs = presets.ladder(documents=documents)
    assert {preset["model"]["name"] for preset in rungs.values()} == {
        name for name, entry in MODELS.items() if entry.trained
    }


def test_the_sentences_name_the_rungs_that_pass_the_counts(names_run: Run) -> None:
    base = measure(names_run, "gpt").standing
    counts = replace(base, name="counts", fitted=True, validation=2.0, unseen=2.1)
    better = replace(base, name="net", validation=1.9, unseen=2.2)
    assert passed([counts, better]) == [
        "validation: below counts (2.0000 nats): net",
        "documents not in the training part: below counts (2.1000 nats): none of the trained rungs",
    ]


def test_the_suggestion_lies_below_the_lowest_point() -> None:
    rates = np.geomspace(1e-3, 1, 300)
    losses = [2 + (math.log10(rate) + 1) ** 2 for rate in rates]  # lowest at 0.1
    assert suggest(rates, losses) == pytest.approx(0.1 / 3, rel=0.1)
    losses[250:] = [math.inf] * 50
    assert suggest(rates, losses) == pytest.approx(0.1 / 3, rel=0.1)


def test_the_finder_finds_a_rate_that_learns(words_file: Path) -> None:
    plan = make_plan(str(words_file), model="bigram", settings={"training": {"batch_size": 64}})
    before = plan.model.state_dict()["weight"].clone()
    sweep = find_learning_rate(plan, updates=40)
    assert len(sweep.rates) == len(sweep.losses) == 40
    assert sweep.best in [rate for rate, _ in sweep.confirmed]
    assert 1e-3 <= sweep.best <= 1
    assert (plan.model.state_dict()["weight"] == before).all()
    again = find_learning_rate(plan, updates=40)
    assert again == sweep


def test_the_finder_refuses_counts(words_file: Path) -> None:
    plan = make_plan(str(words_file), model="ngram")
    with pytest.raises(ConfigError, match="has no learning rate"):
        find_learning_rate(plan)
    assert main(["lr-find", str(words_file), "--low", "1", "--high", "0.1"]) == 2


def test_a_mixture_averages_probabilities(words_file: Path, tmp_path: Path) -> None:
    runs = [
        hornbook.train(str(words_file), model="ngram", out=tmp_path / "n"),
        hornbook.train(str(words_file), model="gpt", out=tmp_path / "g", settings=FAST),
    ]
    mixed = mix(runs, tmp_path / "m", [3, 1])
    back = hornbook.load(tmp_path / "m")
    part = back.part("val")
    a, b = (np.exp(-token_nats(run.model, part)) for run in runs)
    np.testing.assert_allclose(
        np.exp(-token_nats(back.model, part)), 0.75 * a + 0.25 * b, rtol=1e-4
    )
    assert mixed.report["validation"]["nats"] == pytest.approx(back.evaluate("val").nats)
    assert len(back.sample(3, seed=0)) == 3
    for command in ("show", "eval", "sample"):
        assert main([command, str(tmp_path / "m")]) == 0
    with pytest.raises(ConfigError, match="expected one above 0 for each run"):
        mix(runs, tmp_path / "x", [1, 0])
    assert main(["mix", str(runs[0].path), str(runs[1].path), "--out", str(tmp_path / "m")]) == 2
    assert main(["train", str(words_file), "--model", "mixture"]) == 2


def test_runs_of_different_corpora_are_not_mixed(
    names_run: Run, words_file: Path, tmp_path: Path
) -> None:
    other = hornbook.train(str(words_file), model="ngram", out=tmp_path / "n")
    with pytest.raises(DataError, match="different corpora"):
        mix([names_run, other], tmp_path / "m")
    assert not (tmp_path / "m").exists()
