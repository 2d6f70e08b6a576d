"""Signals: the first one saves the state, a second one ends at once; a reader that goes away."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import hornbook
from hornbook.api import Run
from hornbook.cli.main import main
from hornbook.runs.directory import StoredRun
from hornbook.runs.position import saved_step
from hornbook.training.interrupts import Interrupted, collected_signals
from tests.training.helpers import SETTINGS, At


def forked(work: Callable[[], int], output: int) -> int:
    """The process id of a child that writes everything there, and exits with what `work` returns."""
    pid = os.fork()
    if not pid:
        code = 99
        try:
            os.dup2(output, 1), os.dup2(output, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
            code = work()
        finally:
            os._exit(code)
    return pid


@pytest.mark.skipif(os.name != "posix", reason="forks")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_saves_the_state_and_a_second_one_stops_at_once(
    number: int, times: int, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r"

    def signals(_: object) -> None:
        for _ in range(times):
            os.kill(os.getpid(), number)

    def work() -> int:
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(6, signals)])
        except KeyboardInterrupt as end:
            return 128 + getattr(end, "signal", signal.SIGINT)
        except SystemExit as end:
            return int(str(end.code))
        return 0

    sink = os.open(os.devnull, os.O_WRONLY)
    pid = forked(work, sink)
    os.close(sink)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 128 + number
    assert saved_step(out) == (7 if times == 1 else 4)  # after step 7; before, an evaluation


@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_without_a_reader_of_its_output_the_state_is_saved(corpus: Path, tmp_path: Path) -> None:
    out, (source, sink) = tmp_path / "r", os.pipe()
    line = f"train {corpus} --model bigram --steps 100000 --training.eval_count 1000 --out {out}"

    def work() -> int:
        os.close(source), os.close(sink)  # the other end is the parent's alone
        return main([*line.split(), "--training.threads", "1", "--training.compile", "no"])

    pid = forked(work, sink)
    os.close(sink)
    output = b""
    while b"val_loss" not in output:
        output += os.read(source, 1000)
    os.close(source)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 141
    assert 0 < (saved_step(out) or 0) < 100_000
    assert saved_step(out) == Run.load(out).log[-1]["step"]


def test_the_message_says_what_is_saved_and_how_to_resume(copy: Path) -> None:
    error = Interrupted(StoredRun.load(copy), 8, signal.SIGTERM)
    assert "interrupted after step 8; its state is saved" in str(error)
    assert f"\n  hornbook train --resume {copy}" in str(error)
    assert error.signal == signal.SIGTERM


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    caught: list[int] = []
    with suppress(KeyError), collected_signals(caught):
        signal.raise_signal(signal.SIGTERM)
        raise KeyError
    assert caught == [signal.SIGTERM]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_outside_of_the_main_thread_signals_are_left_alone() -> None:
    found: list[object] = []

    def work() -> None:
        with collected_signals([]):
            found.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
