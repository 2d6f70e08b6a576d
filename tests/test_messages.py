"""Messages for a user, with the input that causes each: place, found, expected, what to do.

The commands and the parts of their messages are in `messages.py`. The exact words are no contract; the
parts are what makes a message useful.
"""

from __future__ import annotations

import errno
import io
import math
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from hornbook.api import Run
from hornbook.cli import VERBS
from hornbook.cli.main import main
from hornbook.engine.step import OptimizerStep
from hornbook.files import not_written
from hornbook.training import checkpoint
from tests.cli.common import parser_of
from tests.messages import MESSAGES, Message

Write = Callable[[str, bytes | str], Path]


PLURAL = re.compile(
    r"(?<![\d.,])1 (\w+ )?(bytes|characters|documents|evaluations|lines|minutes|runs|steps|tokens)\b"
)


def advised(verb: str, said: str) -> list[tuple[str, str]]:
    """The options that a message of a verb names, each with the verb that it names them of.

    >>> advised("eval", "give --split, or hornbook train --resume x --steps 3; or --json")
    [('train', '--resume'), ('train', '--steps'), ('eval', '--split'), ('eval', '--json')]
    """
    flag, command = r"(?<![-\w])--[a-z][-.\w]*", r"hornbook ([-a-z]+)([^\n;)]*)"
    told = "no such option|found no value|invalid choice"  # what was typed is no advice
    if re.search(told, said):
        said = re.sub(flag, "", said, count=2)
    of_commands = [
        (other, name)
        for other, words in re.findall(command, said)
        for name in re.findall(flag, words)
    ]
    return of_commands + [(verb, name) for name in re.findall(flag, re.sub(command, "", said))]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: f"{m.line} {m.found}")
def test_a_message_says_place_found_expected_and_what_to_do(
    message: Message,
    names_run: Run,
    tmp_path: Path,
    write: Write,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("empty.txt", "")
    write("same.txt", "aaaaaa\naaa\n")
    write("binary", bytes(range(256)))
    write("latin.txt", "æøå er bogstaver\n".encode("latin-1") * 20)
    write("tiny.txt", "a short text, too short for a long context. " * 5)
    write("two.txt", "ab")
    write("halves", b"a\\ud800b\nccc\n")
    os.mkfifo(tmp_path / "pipe")
    write("lines.txt", "one\ntwo\nthree\nfour\n")
    write("table.csv", "name,place\nemma,oslo\nava,bergen\n")
    write("uneven.csv", "name,place\nemma,oslo\nava,bergen,no\n")
    write("bad.jsonl", '{"text": "one"}\n{"text": \n')
    write("broken.gz", b"no archive")
    write("sums.jsonl", '{"prompt": "1+1=", "completion": "2"}\n')
    write("bad.toml", "model = [")
    write("truth.toml", "[training]\nsteps = true\n")
    write("section.toml", "[modle]\nn_layer = 2\n")
    copy = shutil.copytree(names_run.path, tmp_path / "copy")
    message.spoil(copy)
    places = {"dir": tmp_path, "run": names_run.path, "copy": copy}
    words = [word.format(**places) for word in message.line.split(" ")]
    before = set(tmp_path.iterdir())
    assert main(words) == message.code
    assert set(tmp_path.iterdir()) == before, "something was left behind"
    err = capsys.readouterr().err
    said = err[err.index("hornbook: ") :]
    for part in ("place", "found", "expected", "do"):
        assert getattr(message, part).format(**places) in said, f"{part}: {said}"
    assert "Traceback" not in err
    assert not PLURAL.search(said), said
    for verb, flag in advised(words[0], said):
        assert verb not in VERBS or parser_of(verb).has(flag), f"{verb} has no {flag}: {said}"
    assert not re.search(r"\bNone\b|Errno|<class|object at 0x", said), said


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        (b"", ["found no text to score", "give TEXT"]),
        (b"\xff\n", ["found byte 0xff", "not valid UTF-8"]),
    ],
)
def test_stdin_that_cannot_be_scored_is_an_error(
    raw: bytes,
    parts: list[str],
    names_run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), "utf-8"))
    assert main(["score", str(names_run.path)]) == 1
    said = capsys.readouterr().err
    assert all(part in said for part in ["stdin: ", *parts]), said


def not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    before = OptimizerStep.gradients

    def gradients(self: OptimizerStep, step: int) -> Tensor:
        loss = before(self, step)
        return loss * math.nan if step == 12 else loss

    monkeypatch.setattr(OptimizerStep, "gradients", gradients)


def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    before = OptimizerStep.__call__

    def call(self: OptimizerStep, step: int) -> tuple[Tensor, Tensor]:
        if step == 12:
            raise MemoryError
        return before(self, step)

    monkeypatch.setattr(OptimizerStep, "__call__", call)


def no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    before = checkpoint.write_tensors

    def write(path: Path, *args: object) -> None:
        if "00000020" in path.name:
            raise not_written(path, OSError(errno.ENOSPC, "No space left on device"))
        before(path, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "write_tensors", write)


FAULTS = [
    (not_finite, ["{out}", "at step 13 the loss is nan", "expected finite ones",
                 "the state of step 10 is kept", "hornbook train --resume {out}"]),
    (no_memory, ["{out}", "no memory left at step 13", "the estimate was",
                 "--training.batch-size (now 8)"]),
    (no_disk, ["{out}/last/state-", "No space left on device", "Step 10 is saved",
               "hornbook train --resume {out}"]),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "parts"), FAULTS, ids=lambda f: getattr(f, "__name__", ""))
def test_a_fault_in_training_says_what_is_kept_and_how_to_continue(
    fault: Callable[[pytest.MonkeyPatch], None],
    parts: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """tests/reliability causes such faults for real; here the system's answer is simulated."""
    fault(monkeypatch)
    out = tmp_path / "run"
    line = f"train names --model bigram --steps 20 --training.batch-size 8 --out {out}"
    assert main([*line.split(), "--training.eval_count", "2"]) == 1
    said = capsys.readouterr().err
    said = said[said.index("hornbook: ") :]
    for part in parts:
        assert part.format(out=out) in said, said
    assert "Traceback" not in said


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="becomes somebody else")
def test_a_path_without_permission_is_an_error(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another user, who may not read a directory."""
    shutil.copytree(names_run.path, tmp_path / "shut" / "run")
    (tmp_path / "shut" / "x.txt").write_text("abc\ndef\n")
    (tmp_path / "shut").chmod(0o700)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(0o755)
    shut = tmp_path / "shut"
    lines = [
        f"show {shut}/run", f"show {shut}", f"train {shut}/x.txt", f"data {shut}/x.txt",
        f"train --config {shut}/x.toml", f"train --resume {shut}/run", f"show {shut}/run/nothing",
        f"train names --steps 2 --out {shut}/new",
    ]  # fmt: skip
    for line in lines:
        said, code = as_nobody(lambda line=line: main(line.split()), tmp_path / "said")
        assert code in (1, 2), line
        assert re.search(r"cannot be (reached \(Permission denied\)|made in)", said), said
    monkeypatch.setenv("HORNBOOK_CACHE", f"{shut}/cache")
    said, code = as_nobody(lambda: main(["doctor"]), tmp_path / "said")
    assert code == 1
    assert f"{shut} cannot be written" in said


def as_nobody(work: Callable[[], int], said: Path) -> tuple[str, int]:
    """What a child without rights says, and its exit code."""
    pid = os.fork()
    if not pid:
        code = 99
        try:
            sink = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(sink, 1), os.dup2(sink, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            os.setgroups([]), os.setgid(65534), os.setuid(65534)
            code = work()
            sys.stdout.flush(), sys.stderr.flush()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return said.read_text(), code
