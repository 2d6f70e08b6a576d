"""What takes long is said, and nothing else."""

from __future__ import annotations

import io
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from hornbook.heartbeat import Heartbeat, importing
from hornbook.stages import line_written, stage
from tests.training.helpers import Clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(stream: io.StringIO) -> list[str]:
    return [line.strip() for line in stream.getvalue().splitlines()]


def pass_time(beat: Heartbeat, clock: Clock, seconds: float) -> None:
    for _ in range(round(5 * seconds)):
        clock.seconds += 0.2
        beat.look()


def test_a_pipe_has_a_line_at_least_every_two_seconds() -> None:
    clock, stream = Clock(), io.StringIO()
    beat = Heartbeat(stream, clock)
    beat.watch("measuring")
    written = []
    for _ in range(200):
        before = stream.tell()
        pass_time(beat, clock, 0.2)
        if stream.tell() > before:
            written.append(clock.seconds)
    assert written[0] <= 2
    assert max(b - a for a, b in pairwise(written)) <= 2


def test_another_s_line_is_as_good() -> None:
    clock, stream = Clock(), io.StringIO()
    with Heartbeat(stream, clock) as beat, stage("training"):
        for _ in range(20):
            pass_time(beat, clock, 1)
            line_written()
        assert not told(stream)
        pass_time(beat, clock, 2)
        assert len(told(stream)) == 1


def test_a_notebook_has_one_line_that_is_written_again() -> None:
    clock, stream = Clock(), io.StringIO()
    beat = Heartbeat(stream, clock, rewritten=True)
    beat.watch("reading")
    pass_time(beat, clock, 5)
    beat.watch(None)
    assert "\n" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().endswith("\r")


def test_a_file_has_a_line_within_two_seconds_and_then_every_ten(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "log"
    with file.open("w") as stream:
        beat = Heartbeat(stream, clock)
        beat.watch("measuring")
        pass_time(beat, clock, 1)
        assert not file.read_text()
        pass_time(beat, clock, 1)
        assert file.read_text() == "  measuring ... 2 s\n"
        for share in range(10):  # more about it does not begin it anew
            beat.watch(f"measuring: {share}0%")
            pass_time(beat, clock, 1)
    assert file.read_text().splitlines()[1:] == ["  measuring: 90% ... 12 s"]


def test_many_stages_of_a_second_are_not_silent_together() -> None:
    clock, stream = Clock(), io.StringIO()
    beat = Heartbeat(stream, clock)
    for number in range(20):
        beat.watch(f"stage {number}")
        pass_time(beat, clock, 1)
    assert len(told(stream)) >= 9


def test_nothing_is_said_of_what_is_short_or_where_nothing_is_done() -> None:
    clock, stream = Clock(), io.StringIO()
    beat = Heartbeat(stream, clock)
    for _ in range(20):
        beat.watch("reading")
        pass_time(beat, clock, 0.4)
        beat.watch(None)
        pass_time(beat, clock, 0.4)
    pass_time(beat, clock, 60)
    assert not told(stream)


def test_on_a_terminal_the_line_vanishes() -> None:
    clock, stream = Clock(), Terminal()
    beat = Heartbeat(stream, clock)
    beat.watch("reading")
    pass_time(beat, clock, 5)
    assert stream.getvalue().count("reading") == 4
    beat.watch(None)
    assert stream.getvalue().endswith("\r\x1b[K")


def test_the_import_of_a_large_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stream = Clock(), io.StringIO()
    beat = Heartbeat(stream, clock)
    loading = SimpleNamespace(__spec__=SimpleNamespace(_initializing=True))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch", loading)
        pass_time(beat, clock, 2)
    pass_time(beat, clock, 60)
    assert told(stream) == ["loading PyTorch ... 2 s"]


def test_the_innermost_import_of_several_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    loading = SimpleNamespace(__spec__=SimpleNamespace(_initializing=True))
    monkeypatch.setitem(sys.modules, "hornbook.part", loading)
    assert importing() == "loading hornbook"
    monkeypatch.setitem(sys.modules, "torch.part", loading)
    assert importing() == "loading PyTorch"


def test_what_was_silent_before_a_stage_counts() -> None:
    clock, stream = Clock(), io.StringIO()
    beat = Heartbeat(stream, clock)
    pass_time(beat, clock, 1)
    beat.watch("measuring")
    pass_time(beat, clock, 0.8)
    assert told(stream) == ["measuring ... 1 s"]


def test_a_stream_that_nobody_reads_stops_nothing() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    clock = Clock()
    beat = Heartbeat(Closed(), clock)
    beat.watch("reading")
    pass_time(beat, clock, 3)
