"""Progress on stderr: what is printed where there is no terminal, and the bar where there is one."""

from __future__ import annotations

import io
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from hornbook.stages import STORED
from hornbook.training.callbacks.base import Callback
from hornbook.training.callbacks.progress import Progress
from tests.training.helpers import Clock, small

RUN: Any = SimpleNamespace(path=Path("runs/words-gpt"), facts={"vocab_size": 27})


def record(step: int, **more: float) -> dict[str, float]:
    return {"step": step, "loss": 2.5, "tokens_per_second": 12345.6, **more}


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert not out
    return err.splitlines()


def test_a_line_for_the_first_step_each_evaluation_and_every_ten_seconds_in_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    progress = Progress(now=clock)
    progress.every = STORED
    progress.on_start(RUN, 0, 1000)
    for step in range(1, 101):
        clock.seconds += 0.25
        progress.on_log(record(step, **({"val_loss": 2.25} if step == 50 else {})))
    found = lines(capsys)
    assert found[0].strip() == "run  runs/words-gpt"
    assert [line.split("/")[0] for line in found[1:]] == [
        "step       1 ", "step      42 ", "step      50 ", "step      91 ",
    ]  # fmt: skip
    assert found[1] == "step       1 / 1,000  loss 2.5000  12,346 tokens/s"
    assert found[3] == (
        "step      50 / 1,000  loss 2.5000  val_loss 2.2500  12,346 tokens/s  3:58 left"
    )


def test_a_pipe_has_a_line_at_least_every_two_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = Progress(now=clock)
    progress.on_start(RUN, 0, 1000)
    written = [clock.seconds]
    for step in range(100):
        clock.seconds += 0.2
        progress.post_step(step)
        progress.on_log(record(step + 1))
        if lines(capsys):
            written.append(clock.seconds)
    assert max(b - a for a, b in pairwise(written)) <= 2
    assert len(written) < 20


def test_passing_lines_of_a_notebook_are_written_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hornbook.training.callbacks.progress.in_notebook", lambda: True)
    progress = Progress(now=Clock())
    for line, passing in (("a long line", True), ("short", True), ("an end", False), ("b", False)):
        progress.say(line, passing=passing)
    assert capsys.readouterr().out == "a long line\rshort      \ran end\nb\n"


def test_the_untrained_model_stands_beside_the_uniform_baseline(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = Progress(now=Clock())
    progress.on_start(RUN, 0, 10)
    untrained = {"step": 0, "loss": None, "tokens_per_second": 0}
    progress.on_log({**untrained, "train_loss": 3.31, "val_loss": 3.32})
    progress.on_log(record(5, train_loss=2.0, val_loss=2.25))
    _, first, second = lines(capsys)
    assert first == (
        "step       0 / 10  train_loss 3.3100  val_loss 3.3200  (uniform baseline: ln 27 = 3.2958)"
    )
    assert "loss 2.5000  train_loss 2.0000  val_loss 2.2500  12,346 tokens/s" in second


def test_a_resumed_run_counts_the_time_left_from_where_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    progress = Progress(now=clock)
    progress.on_start(RUN, 500, 1000)
    clock.seconds += 100
    progress.on_log(record(600, val_loss=2.0))
    progress.on_total_steps(800)
    progress.on_log(record(600, val_loss=2.0))
    progress.on_log(record(800, val_loss=2.0))
    found = lines(capsys)
    assert found[0].endswith(", from step 500 on")
    assert found[1].startswith("step     600 / 1,000")
    assert found[1].endswith("6:40 left")
    assert found[2].startswith("step     600 / 800")
    assert found[2].endswith("3:20 left")
    assert found[3].endswith("tokens/s")


@pytest.mark.parametrize("brief", [False, True])
def test_the_plan_samples_and_messages(
    brief: bool, words_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = resolve(read_request(str(words_file), model="bigram", settings=small("bigram")))
    progress = Progress(brief=brief)
    progress.on_plan(plan)
    progress.on_start(RUN, 0, 12)
    progress.on_samples(4, ["bako", "x" * 300, "a\x1b[2Jb"])
    progress.on_message("overfitting since step 4")
    found = lines(capsys)
    assert any(line.strip().startswith("model  bigram") for line in found)
    assert found[-1] == "overfitting since step 4"
    assert "\x1b" not in "".join(found)
    assert (
        len(found) == 2
        if brief
        else found[-2].strip().startswith("sample  bako  " + "x" * 200 + " ")
    )


def test_a_terminal_has_a_bar_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress: Callback = Progress()
    progress.on_start(RUN, 5, 10)
    progress.on_log(record(6, val_loss=2.0))
    progress.on_log(record(7))
    progress.on_total_steps(20)
    progress.on_message("[odd] markup")
    progress.close()
    progress.close()
    written = terminal.getvalue()
    assert "loss 2.5000  val_loss 2.0000" in written
    assert "[odd] markup" in written
    assert "7/10" in written.replace(" ", "")


def test_an_evaluation_that_is_made_up_for_is_shown_after_the_start(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import hornbook

    class Killed(Callback):
        def pre_evaluate(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hornbook.train(
            str(words_file), model="bigram", out=tmp_path / "r", settings=small("bigram"),
            callbacks=[Killed()],
        )  # fmt: skip
    hornbook.resume(tmp_path / "r", callbacks=[Progress()])
    found = lines(capsys)
    first = next(line for line in found if line.startswith("step"))
    assert first.startswith("step       4 / 12")
    assert found.index(first) > next(i for i, line in enumerate(found) if "from step 4 on" in line)


def test_a_count_model_says_where_its_run_is(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import hornbook

    hornbook.train(str(words_file), model="ngram", out=tmp_path / "r", callbacks=[Progress()])
    found = lines(capsys)
    assert any(line.strip() == f"run  {tmp_path / 'r'}" for line in found)
    assert any(line.startswith("step       1 / 1  loss") for line in found)


def test_long_steps_are_counted_between_two_records(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = Progress(now=clock)
    progress.every = STORED
    progress.on_start(RUN, 0, 100)
    for step in range(4):
        clock.seconds += 6
        progress.post_step(step)
    assert [line[:18].strip() for line in lines(capsys)[1:]] == [
        "step       2 / 100",
        "step       4 / 100",
    ]
