"""Stored runs are compared on the same text."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

import hornbook
from hornbook.api import Run
from hornbook.errors import ConfigError, DataError, RunError
from hornbook.experiments.comparison import compare, measure
from hornbook.metrics.comparison import differences
from hornbook.metrics.loss import token_nats


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
    comparison = compare(runs)
    measured, (found,) = comparison.measured, comparison.differences
    part = runs[0].part("val")
    losses = [token_nats(run.model, part) for run in runs]
    edges = part.starts[:-1]
    d = np.add.reduceat(losses[0] - losses[1], edges)
    sizes = np.diff(part.starts)
    sign = 1 if measured[1].result.validation < measured[0].result.validation else -1
    mean = d.sum() / sizes.sum()
    residual = d - mean * sizes
    error = math.sqrt((residual**2).sum() * len(d) / (len(d) - 1)) / sizes.sum()
    assert found.mean == pytest.approx(sign * mean)
    assert found.standard_error == pytest.approx(error)
    assert found.unit == "nats per token"
    assert len(d) == found.units == 22
    assert found.is_significant == (abs(mean) > 2.080 * error)  # Student, 21 degrees


def test_a_run_does_not_differ_from_itself(names_run: Run) -> None:
    comparison = compare([names_run, names_run])
    assert comparison.differences == ()
    assert "have the same settings and seed and predict exactly alike" in comparison.sentences[0]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two settings with two seeds each, of counts, and of things that are no runs."""
    folder = tmp_path_factory.mktemp("seeded")
    text = "\n".join(a + b + c for a in "bkmtrl" for b in "aeiou" for c in "bkmtrl")
    (folder / "words.txt").write_text(text)
    for name, hidden in (("small", 4), ("large", 16)):
        for seed in (1, 2):
            hornbook.train(
                str(folder / "words.txt"), model="mlp", steps=6, seed=seed, precision="fp32",
                out=folder / name / f"seed-{seed}",
                settings={"model.n_hidden": hidden, "training.threads": 1,
                          "training.device": "auto" if seed == 1 else "cpu"},
            )  # fmt: skip
    hornbook.train(str(folder / "words.txt"), model="ngram", out=folder / "counts")
    return folder


def test_runs_are_grouped_by_setting_and_paired_by_seed(seeded: Path) -> None:
    comparison = hornbook.compare(seeded)  # finds the runs below
    assert {group.name: group.seeds for group in comparison.groups} == {
        "counts": (), "large": (1, 2), "small": (1, 2),
    }  # fmt: skip
    assert len(comparison.differences) == 2
    assert all(d.comparisons == 3 for d in comparison.differences)  # of three pairs
    pair = hornbook.compare([seeded / "small", seeded / "large"])
    (found,) = pair.differences
    assert "2 seeds in pairs" in found.sentence
    assert [dict(group.settings) for group in pair.groups] == [
        {"model.n_hidden": 4}, {"model.n_hidden": 16},
    ]  # fmt: skip
    assert "one seed" not in " ".join(pair.sentences)
    csv = pair.table("csv").splitlines()
    assert len(csv) == 5
    assert str(pair).startswith("| setting")
    assert found.sentence in str(pair)
    with pytest.raises(ConfigError, match=r"format: found 'xml', expected one of csv"):
        pair.table("xml")


def test_two_seeds_of_one_setting_are_not_called_different(seeded: Path) -> None:
    comparison = hornbook.compare(seeded / "small")
    assert comparison.differences == ()
    said = " ".join(comparison.sentences)
    assert "2 seeds, mean validation loss" in said
    assert "differ by their seed alone" in said
    assert "significant" not in said


def test_another_precision_is_another_setting_also_where_it_was_measured(
    seeded: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(seeded / "small", tmp_path / "small")
    facts = json.loads((copy / "seed-2" / "config.json").read_text())
    facts["hardware"]["precision"] = "bf16"
    (copy / "seed-2" / "config.json").write_text(json.dumps(facts))
    comparison = hornbook.compare(copy)
    assert sorted(g.settings["training.precision"] for g in comparison.groups) == ["bf16", "fp32"]


def test_one_run_each_is_said(seeded: Path) -> None:
    runs = [seeded / "small" / "seed-1", seeded / "large" / "seed-1"]
    comparison = hornbook.compare(runs)
    assert "on these documents, one seed each" in comparison.differences[0].sentence


def test_what_is_no_run_is_skipped_with_a_line(seeded: Path) -> None:
    """As `compare DIR/*` gives it: files and empty directories among the runs."""
    (seeded / "empty").mkdir(exist_ok=True)
    comparison = hornbook.compare(sorted(seeded.iterdir()))
    assert len(comparison.measured) == 5
    assert [line.partition("skipped")[2] for line in comparison.skipped] == [
        ": no run in it", ": a file, not a run directory",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="found 0 runs, expected two or more"):
        hornbook.compare(seeded / "empty")
    with pytest.raises(RunError, match="found nothing, expected a run directory"):
        hornbook.compare(seeded / "nothing")


def test_a_run_that_has_not_ended_is_no_seed_of_the_others(seeded: Path, tmp_path: Path) -> None:
    for name in ("small", "large"):
        shutil.copytree(seeded / name, tmp_path / name)
    (tmp_path / "small" / "seed-2" / "report.json").unlink()
    (tmp_path / "large" / "seed-2" / "report.json").unlink()
    (tmp_path / "large" / "seed-2" / "model.safetensors").unlink()
    comparison = hornbook.compare(tmp_path)
    assert [group.seeds for group in comparison.groups] == [(1,), (1,), (2,)]
    assert any("is not finished" in line for line in comparison.sentences)
    (skipped,) = comparison.skipped
    assert "no weights saved yet; hornbook train --resume" in skipped


def test_different_tokenizers_are_compared_in_bits_per_byte(
    words_file: Path, tmp_path: Path
) -> None:
    runs = [
        hornbook.train(
            str(words_file), model="ngram", out=tmp_path / kind, settings={"tokenizer.kind": kind}
        )
        for kind in ("char", "byte")
    ]
    comparison = compare(runs)
    measured, (found,) = comparison.measured, comparison.differences
    assert found.unit == "bits per byte"
    bits = [m.result.bits_per_byte for m in measured]
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


def test_runs_that_leave_out_characters_do_not_compare_with_others(
    names_run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "new.txt"
    path.write_text("".join(f"{name}\u00e4\n" for name in names_run.split().train[:120]))
    runs = [
        hornbook.train(
            str(path),
            base=names_run.path,
            out=tmp_path / name,
            settings={"training.steps": 1, "training.sample_count": 0, **ways},
        )
        for name, ways in (
            ("grown", {"finetuning.grow": True}),
            ("short", {"finetuning.unknown": "skip"}),
        )
    ]
    (sentence,) = (s for s in compare(runs).sentences if "leaves out characters" in s)
    assert sentence.startswith("short leaves out")
