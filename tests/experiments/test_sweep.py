"""Several settings and seeds: what is trained, where, and how a sweep continues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import hornbook
from hornbook.errors import ConfigError, RunError
from hornbook.experiments.sweep import FILE, Swept
from hornbook.training.callbacks.base import Callback

OVER = {"model.n_hidden": [4, 8], "optim.learning_rate": [0.01, 0.1]}
SETTINGS = {
    "training.eval_count": 2, "training.sample_count": 0, "training.threads": 1,
    "training.precision": "fp32", "training.compile": "no",
}  # fmt: skip


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("corpus") / "words.txt"
    path.write_text("\n".join(a + b + c for a in "bkmtrl" for b in "aeiou" for c in "bkmtrl"))
    return str(path)


def swept(words: str, out: Path, **options: Any) -> Swept:
    options = {"over": OVER, "seeds": (1, 2), "model": "mlp", "steps": 6, **options}
    settings = {**SETTINGS, **options.pop("settings", {})}
    return hornbook.sweep(words, out=out, settings=settings, **options)


@pytest.fixture(scope="module")
def whole(words: str, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """A sweep without interruption."""
    return swept(words, tmp_path_factory.mktemp("sweeps") / "whole")


def losses(found: Swept) -> dict[str, float]:
    return {
        Path(result.path).relative_to(found.path).as_posix(): result.validation
        for result in found.results
    }


def test_every_combination_is_trained_with_every_seed(whole: Swept) -> None:
    assert sorted(losses(whole)) == sorted(
        f"n_hidden={h},learning_rate={rate}/seed-{seed}"
        for h in (4, 8) for rate in (0.01, 0.1) for seed in (1, 2)
    )  # fmt: skip
    assert {group.name for group in whole.groups} == {
        f"n_hidden={h},learning_rate={rate}" for h in (4, 8) for rate in (0.01, 0.1)
    }
    assert len(whole.differences) == 3
    best = min(whole.groups, key=lambda group: group.result.validation)
    assert f"{best.name} is the best of 4 settings by validation loss" in whole.sentences[-1]


def test_counts_have_one_run_whatever_the_seeds(words: str, tmp_path: Path) -> None:
    found = swept(words, tmp_path / "s", over={"model.name": ["ngram", "bigram"]}, model=None)
    assert sorted(losses(found)) == [
        "model=bigram/seed-1", "model=bigram/seed-2", "model=ngram/seed-1",
    ]  # fmt: skip


class KilledError(Exception):
    """In place of a signal."""


class Kill(Callback):
    """Ends a sweep in the middle of its third run, as a kill would."""

    def __init__(self) -> None:
        self.runs = 0

    def on_start(self, run: Any, step: int, total_steps: int) -> None:
        self.runs += 1

    def on_log(self, record: Mapping[str, Any]) -> None:
        if self.runs == 3 and record["step"] >= 3:
            raise KilledError


def test_a_sweep_that_was_killed_continues_to_the_same_end(
    words: str, tmp_path: Path, whole: Swept
) -> None:
    out, said = tmp_path / "cut", list[str]()
    with pytest.raises(KilledError):
        swept(words, out, callbacks=[Kill()])
    reports = {path: path.stat().st_mtime_ns for path in out.glob("*/*/report.json")}
    assert len(reports) == 2
    assert len(list(out.glob("*/*/config.json"))) == 3
    found = swept(words, out, on_message=said.append)
    assert all(path.stat().st_mtime_ns == before for path, before in reports.items())
    assert [line.partition(", ")[2].rpartition(", ")[2] for line in said[:2]] == [
        "finished before"
    ] * 2
    assert said[2].endswith("resumed")
    assert losses(found) == losses(whole)


def test_more_seeds_and_values_may_be_asked_for_later(words: str, tmp_path: Path) -> None:
    out = tmp_path / "more"
    first = swept(words, out, over={}, seeds=(1,))
    assert list(losses(first)) == ["seed-1"]
    again = swept(words, out, over={}, seeds=(1, 2))
    assert list(losses(again)) == ["seed-1", "seed-2"]
    assert again.groups[0].seeds == (1, 2)
    assert "n_hidden" not in json.loads((out / FILE).read_text())["settings"].get("model", {})
    with pytest.raises(RunError, match="holds a sweep with other settings; give another directory"):
        swept(words, out, over={}, seeds=(3,), steps=7)
    with pytest.raises(RunError, match="a sweep with other settings that vary"):
        swept(words, out, over={"model.n_hidden": [4]}, seeds=(3,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"over": {"model.n_hiden": [1]}},
            r"model.n_hiden: no such field; did you mean 'n_hidden'",
        ),
        ({"over": {"model.n_hidden": [4, 0]}}, r"model.n_hidden: found 0"),
        ({"over": {"model.n_hidden": []}}, r"model.n_hidden: found no value"),
        ({"over": {"data.split_seed": [1, 2]}}, "cannot be varied in a sweep: runs on other texts"),
        ({"over": {"training.threads": [1, 2]}}, "threads: cannot be varied"),
        (
            {"over": {"training.seed": [1, 2]}},
            r"several values; give them as hornbook.sweep\(..., seeds=",
        ),
        (
            {"over": {"model.n_hidden": "4..8"}},
            r"found the range '4..8'; give the number of trials",
        ),
        ({"over": {"training.steps": [4, 5]}}, "training.steps: found both one value and several"),
        ({"seeds": (1, 1)}, "seeds: found 1 twice"),
        ({"seeds": (-1,)}, "training.seed: found -1"),
        ({"seeds": (1,), "settings": {"training.seed": 2}}, "seeds: found them beside seed"),
        ({"trials": 0}, "trials: found 0 over 2 settings"),
        ({"trials": 3, "over": {}}, "trials: found 3 over 0 settings"),
        ({"trials": 0, "over": {"model.n_hidden": [4]}}, "trials: found 0 over 1 setting,"),
        ({"over": {"model.n_hidden": 4}}, r"n_hidden: found 4 \(int\), expected several values"),
        (
            {"over": {"optim.learning_rate": "0.1..0.01"}, "trials": 2},
            "found '0.1..0.01', expected a range of numbers, the lower one first",
        ),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_is_trained(
    words: str, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        swept(words, tmp_path / "no", **options)
    assert not (tmp_path / "no").exists()


def test_a_sweep_that_trained_nothing_yet_may_be_another(words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="minutes"):
        swept(words, tmp_path / "s", over={}, seeds=(1,), steps=None, minutes=0.001)
    assert len(swept(words, tmp_path / "s", over={}, seeds=(1,)).measured) == 1


def test_a_directory_of_something_else_is_left_alone(words: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(RunError, match="exists already and is no sweep"):
        swept(words, tmp_path / "mine")
    with pytest.raises(RunError, match="is a file, expected a directory"):
        swept(words, tmp_path / "mine" / "notes.txt")


def test_a_run_that_diverges_does_not_end_the_sweep(words: str, tmp_path: Path) -> None:
    over = {"optim.learning_rate": [0.01, 1e38]}
    options: dict[str, Any] = {"settings": {"optim.grad_clip": 0.0, "optim.name": "sgd"}}
    found = swept(words, tmp_path / "d", over=over, seeds=(1,), **options)
    assert [line for line in found.sentences if line.startswith("not trained: ")]
    finished = [result for result in found.results if result.finished]
    assert [Path(result.path).parent.name for result in finished] == ["learning_rate=0.01"]


def test_all_runs_of_a_sweep_have_the_precision_of_the_first(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is measured, and on a busy machine another measurement may decide otherwise."""
    ratios = iter([0.5, 2.0, 2.0, 2.0, 2.0])
    monkeypatch.setattr("hornbook.planning.resolution.has_bf16", lambda device: True)
    monkeypatch.setattr("hornbook.planning.bench.Bench.bf16_ratio", lambda bench: next(ratios))
    options: dict[str, Any] = {
        "over": {"model.n_hidden": [4]}, "steps": 2, "settings": {"training.precision": "auto"},
    }  # fmt: skip
    swept(words, tmp_path / "sweep", seeds=(1, 2), **options)
    found = swept(words, tmp_path / "sweep", seeds=(1, 2, 3), **options)  # continued
    runs = [hornbook.load(result.path) for result in found.results]
    assert [run.facts["hardware"]["precision"] for run in runs] == ["bf16"] * 3
    assert len(found.groups) == 1


def test_seeds_of_a_time_budget_repeat_what_was_chosen_for_the_first(
    words: str, tmp_path: Path
) -> None:
    found = swept(words, tmp_path / "s", over={}, steps=None, minutes=0.1)
    first, second = (hornbook.load(result.path) for result in found.results)
    assert first.config.training.minutes == 0.1
    assert second.config.training.minutes is None
    assert second.report["steps"] == first.report["steps"]
    assert (first.config.training.seed, second.config.training.seed) == (1, 2)
    for section in ("model", "data", "tokenizer"):
        assert getattr(first.config, section) == getattr(second.config, section)


def test_counts_that_a_time_budget_chose_have_one_run(words: str, tmp_path: Path) -> None:
    lines: list[str] = []
    found = swept(
        words,
        tmp_path / "s",
        over={},
        steps=None,
        minutes=0.001,
        model=None,
        on_message=lines.append,
    )
    assert len(found.results) == 1
    assert any("counts were chosen, which no seed changes" in line for line in lines)


def test_a_sweep_is_printed_as_its_table(whole: Swept) -> None:
    assert repr(whole) == str(whole)
    assert repr(whole).splitlines()[0].split()[1:4:2] == ["setting", "seeds"]
