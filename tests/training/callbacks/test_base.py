"""At which steps something happens; runs that are moved or removed while they are trained."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hornbook
from hornbook.errors import RunError
from hornbook.files import read_lines
from hornbook.training import report
from hornbook.training.callbacks import checkpoints
from hornbook.training.callbacks.base import SpacedCallback, spaced_steps
from tests.training.helpers import PINNED, SETTINGS, At, Listen


@pytest.mark.parametrize(
    ("total", "count", "steps"),
    [(10, 4, (2, 5, 8, 10)), (3, 10, (1, 2, 3)), (12, 1, (12,)), (12, 0, ()), (1, 1, (1,))],
)
def test_steps_are_evenly_spaced_and_end_with_the_last(
    total: int, count: int, steps: tuple[int, ...]
) -> None:
    assert spaced_steps(total, count) == steps


def test_the_step_that_is_due_next() -> None:
    callback = SpacedCallback(4)
    state = SimpleNamespace(total_steps=10)
    callback.trainer = SimpleNamespace(state=state)  # type: ignore[assignment]
    assert [callback.next_due(step) for step in (0, 2, 7, 10)] == [2, 5, 8, None]


class Move:
    """Moves a run away and puts another directory in its place."""

    def __init__(self, folder: Path) -> None:
        self.out, self.there = folder / "here", folder / "there"

    def __call__(self, *_: object) -> None:
        self.out.rename(self.there)
        self.out.mkdir()


def test_a_run_that_is_moved_continues_where_it_is_now(corpus: Path, tmp_path: Path) -> None:
    move, heard = Move(tmp_path), Listen()
    run = hornbook.train(
        str(corpus), out=move.out, settings=SETTINGS, callbacks=[At(6, move), heard]
    )
    assert run.path == move.there
    assert run.report["steps"] == 12
    assert not list(move.out.iterdir())
    assert heard.says(f"was moved to {move.there}")
    assert [r["step"] for r in run.log] == list(range(13))


def test_a_run_that_is_moved_between_two_files_is_followed(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move, plain = Move(tmp_path), checkpoints.save_state

    def moved(path: Path, *args: Any) -> None:
        if path == move.out:
            move()
            shutil.rmtree(move.out)
        plain(path, *args)

    monkeypatch.setattr(checkpoints, "save_state", moved)
    run = hornbook.train(str(corpus), out=move.out, settings=SETTINGS)
    assert run.path == move.there
    assert run.report["steps"] == 12


@pytest.mark.parametrize("model", ["bigram", "ngram"])
def test_a_run_that_is_moved_while_the_report_is_made_gets_it(
    model: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move, plain = Move(tmp_path), report.novelty_report

    def moved(*args: Any) -> Any:
        move()
        return plain(*args)

    monkeypatch.setattr(report, "novelty_report", moved)
    settings = {"training": SETTINGS["training"]} if model == "bigram" else {}
    run = hornbook.train(str(corpus), model=model, out=move.out, settings=settings)
    assert run.path == move.there
    assert run.report["samples"]
    assert not list(move.out.iterdir())


def test_a_run_that_is_moved_gets_the_probes(corpus: Path, tmp_path: Path) -> None:
    move = Move(tmp_path)
    training = {"steps": 20, "batch_size": 8, "eval_count": 1, "probe_every": 100, **PINNED}
    settings = {**SETTINGS, "training": {**training, "sample_count": 0}}
    hornbook.train(str(corpus), out=move.out, settings=settings, callbacks=[At(7, move)])
    assert not list(move.out.iterdir())
    found = [(r["kind"], r["step"]) for r in read_lines(move.there / "probes.jsonl")]
    assert found == [("probe", 1), ("novelty", 8), ("novelty", 16), ("probe", 20), ("novelty", 20)]


def test_a_run_that_is_removed_says_so(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    with pytest.raises(RunError, match="was removed or moved to another disk"):
        hornbook.train(
            str(corpus),
            out=out,
            settings=SETTINGS,
            callbacks=[At(6, lambda _: shutil.rmtree(out))],
        )


@pytest.mark.parametrize(
    ("step", "saved"), [(2, "Nothing is lost but time"), (6, "Step 4 is saved")]
)
def test_what_cannot_be_written_says_what_is_saved(
    step: int, saved: str, corpus: Path, tmp_path: Path
) -> None:
    def block(trainer: Any) -> None:
        log = trainer.run.path / "log.jsonl"
        log.unlink()
        log.mkdir()

    with pytest.raises(RunError, match=rf"(?s)log\.jsonl: .*{saved}; then resume:\n  hornbook"):
        hornbook.train(
            str(corpus), out=tmp_path / "r", settings=SETTINGS, callbacks=[At(step, block)]
        )
