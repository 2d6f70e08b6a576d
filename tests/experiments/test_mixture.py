"""Mixtures of runs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import hornbook
from hornbook.api import Run
from hornbook.errors import ConfigError, DataError
from hornbook.experiments.mixture import mix
from hornbook.metrics.loss import token_nats

FAST = {"training": {"steps": 4, "eval_count": 1, "sample_count": 0}}


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
    with pytest.raises(ConfigError, match="expected one above 0 for each of 2"):
        mix(runs, tmp_path / "x", [1, 0])
    with pytest.raises(ConfigError, match="expected one above 0 for each of 2"):
        mix(runs, tmp_path / "x", [1, math.inf])
    with pytest.raises(ConfigError, match="exists already"):
        mix(runs, tmp_path / "m")
    with pytest.raises(ConfigError, match="expected two or more to mix"):
        mix(runs[:1], tmp_path / "x")


def test_runs_of_different_corpora_are_not_mixed(
    names_run: Run, words_file: Path, tmp_path: Path
) -> None:
    other = hornbook.train(str(words_file), model="ngram", out=tmp_path / "n")
    with pytest.raises(DataError, match="different corpora"):
        mix([names_run, other], tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_run_is_mixed_with_counts_of_its_text(words_file: Path, tmp_path: Path) -> None:
    run = hornbook.train(str(words_file), model="gpt", out=tmp_path / "g", settings=FAST)
    counts = hornbook.train(
        str(words_file), model="ngram", out=tmp_path / "n", settings={"model.order": 4}
    )
    apart = mix([run, counts], tmp_path / "a", [1, 3])
    mixed = mix([run], tmp_path / "m", [1, 3], counts=4)
    assert mixed.report["validation"] == apart.report["validation"]
    assert mixed.facts["mixed"] == [str(run.path), "n-grams of order 4"]
    assert mixed.report["verdict"]["word"]
    assert mixed.report["counts"]["order"]
    back = hornbook.load(tmp_path / "m")
    assert back.evaluate("val").nats == pytest.approx(mixed.report["validation"]["nats"], abs=1e-5)
    with pytest.raises(ConfigError, match="or one and the order of counts"):
        mix([run], tmp_path / "x")
    with pytest.raises(ConfigError, match="expected one above 0 for each of 2 members"):
        mix([run], tmp_path / "x", [1], counts=4)
