"""Every message for a user once, with the input that provokes it: place, found, expected, what to do.

Each line: what is done, the exit code, and the parts of the message. `place` is where it went wrong,
`found` what was there, `expected` what should have been, `do` the way out; a part is left out only
where another says it already.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hornbook.cli.main import main
from hornbook.run import Run

Write = Callable[[str, bytes | str], Path]


@dataclass(frozen=True)
class Message:
    """A command line, and what it has to say. {dir}, {run} and {copy} are filled in; `spoil` damages
    the copy of a run before."""

    line: str
    code: int
    place: str
    found: str = ""
    expected: str = ""
    do: str = ""
    spoil: Callable[[Path], object] = lambda _: None


def facts(**changes: object) -> Callable[[Path], object]:
    def spoil(run: Path) -> object:
        place = run / "config.json"
        return place.write_text(json.dumps({**json.loads(place.read_text()), **changes}))

    return spoil


def cut(name: str) -> Callable[[Path], object]:
    def spoil(run: Path) -> object:
        (place,) = run.glob(name)
        return place.write_bytes(place.read_bytes()[:-5])

    return spoil


def flipped(name: str) -> Callable[[Path], object]:
    def spoil(run: Path) -> object:
        place = sorted(run.glob(name))[-1]
        raw = bytearray(place.read_bytes())
        raw[-5] ^= 1
        return place.write_bytes(raw)

    return spoil


def all_states(run: Path) -> None:
    for place in run.glob("last/state-*"):
        place.write_bytes(b"")


def link(run: Path) -> None:
    (run / "report.json").unlink()
    (run / "report.json").symlink_to("/etc/hostname")


def lock(run: Path) -> None:
    import fcntl

    descriptor = os.open(run / "lock", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b'{"pid": 77, "host": "there", "boot": "", "since": "noon"}')
    fcntl.flock(descriptor, fcntl.LOCK_EX)


MESSAGES = [
    # texts
    Message("train {dir}/none.txt", 1, "none.txt", "no such file", do="give the path"),
    Message("train {dir}", 1, "{dir}", "is a directory", do="give one text file"),
    Message("train {dir}/empty.txt", 1, "empty.txt", "is empty", "expected a text"),
    Message("train {dir}/same.txt", 1, "same.txt", "found 1 different symbol", "at least 2"),
    Message("train {dir}/binary", 1, "binary", "null byte at offset 0", "expected text", "--encoding"),
    Message("train {dir}/latin.txt", 1, "latin.txt", "found byte 0xe6 at offset 0", "not valid utf-8",
            "Name the right one (--encoding)"),
    Message("train {dir}/two.txt", 1, "two.txt", "found 2 characters", "too few", "give more text"),
    Message("train nmaes", 1, "nmaes", "no corpus of this name", do="did you mean 'names'"),
    Message("train {dir}/tiny.txt --model.context-length 256", 1, "model.context_length", "found 256",
            "only", "ask for at most"),
    Message("train {dir}/latin.txt --encoding klingon", 2, "encoding", "found 'klingon'",
            "expected one that Python knows", "such as utf-8"),
    # settings
    Message("trian", 2, "trian", "no such verb", do="did you mean 'train'"),
    Message("train names --model gptt", 2, "model", "found 'gptt'", "no such model", "did you mean"),
    Message("train names --preset notes-gtp", 2, "preset", "notes-gtp", do="did you mean 'notes-gpt'"),
    Message("train names --model.n-layers 4", 2, "model.n_layers", "no such field",
            do="did you mean 'n_layer'"),
    Message("train names --modle.n-layer 4", 2, "modle.n-layer", "no such section",
            do="did you mean 'model.n_layer'"),
    Message("train names --model.n-layer", 2, "--model.n-layer", "found no value", "expected one"),
    Message("train names --model.n-head 3", 2, "model.n_head", "found 3", "expected a divisor"),
    Message("train names --steps 0", 2, "training.steps", "found '0'", "greater than 0"),
    Message("train names --step 5", 2, "--step", "no such option", do="did you mean '--steps'"),
    Message("train names --precision bf17", 2, "training.precision", "found 'bf17'", "'fp32'",
            "did you mean"),
    Message("train names --device cuda", 2, "training.device", "found 'cuda'", "does not have"),
    Message("train names --config {dir}/none.toml", 2, "none.toml", "cannot be read",
            do="give a TOML file"),
    Message("train names --config {dir}/bad.toml", 2, "bad.toml", "not valid TOML"),
    Message("train names --config {dir}/section.toml", 2, "section.toml", "no section [modle]",
            do="did you mean 'model'"),
    Message("train names --model mixture", 2, "model", "mixture is not trained", do="hornbook mix"),
    Message("train names --model.n-embd 65536 --model.n-hidden 1000000 --model.n-layer 8", 2,
            "memory", "found", "need", "make the model smaller"),
    Message("train names --out {run}", 2, "{run}", "exists already: gpt on names",
            do="hornbook train --resume {run}"),
    Message("train names --out {dir}/same.txt/r", 1, "r", "cannot be made", do="give another place"),
    # reading and writing runs
    Message("sample {dir}", 1, "{dir}", "found no config.json", "expected a run directory"),
    Message("sample {run}s", 1, "{run}s", "found nothing", "expected a run", "did you mean 'names'"),
    Message("sample {run} --prompt Åse", 1, "unknown symbols", "'Å' (U+00C5)", "the model knows 26",
            "--unknown skip"),
    Message("sample {run} --temperature -1", 2, "temperature", "found -1.0", "expected 0 (greedy)"),
    Message("sample {run} --top-p 1.5", 2, "top-p", "found 1.5", "expected above 0"),
    Message("sample {run} -n 0", 2, "n", "found 0", "expected at least 1"),
    Message("eval {run} --split dev", 2, "--split", "invalid choice: 'dev'", "choose from"),
    Message("score {run} a\nb", 1, "text 1", "line break inside", "one document a line"),
    Message("models gpt3", 2, "gpt3", "no such model", do="did you mean"),
    # runs that are damaged, from a stranger, or from another version
    Message("show {copy}", 1, "config.json", "found format 3", "expected 2 or older",
            "install a newer hornbook", facts(format=3)),
    Message("show {copy}", 1, "config.json", "odd", "no such field", "another version",
            facts(odd=1)),
    Message("show {copy}", 1, "config.json", "found 'many'", "valid integer",
            spoil=facts(vocab_size="many")),
    Message("show {copy}", 1, "config.json", "damaged", spoil=cut("config.json")),
    Message("show {copy}", 1, "tokenizer.json", "found 27 ids", "expected 30", "of another run",
            facts(vocab_size=30)),
    Message("show {copy}", 1, "report.json", "is a link", "expected a file", "cp -L", link),
    Message("score {copy} emma", 1, "model.safetensors", "damaged: its checksum",
            spoil=flipped("model.safetensors")),
    Message("score {copy} emma", 1, "model.safetensors", "damaged", spoil=cut("model.safetensors")),
    Message("score {copy} emma", 1, "model.safetensors", "cannot be read",
            spoil=lambda run: (run / "model.safetensors").unlink()),
    # going on
    Message("train --resume {dir}", 1, "{dir}", "found no config.json", "expected a run directory"),
    Message("train --resume {run} --seed 3", 2, "--resume", "found seed beside it",
            "with its own settings", "--steps"),
    Message("train --resume {run} --model.n-layer 3", 2, "model.n_layer", "beside --resume",
            "with its own settings", "--steps"),
    Message("train --resume {copy} --steps 5", 2, "steps", "found 5", "30 updates are done",
            "give 30 or more"),
    Message("train --resume {copy}", 1, "last/state-", "damaged: cut off", spoil=all_states),
    Message("train --resume {copy}", 1, "last/state.json", "found no state to resume from",
            spoil=lambda run: shutil.rmtree(run / "last")),
    Message("train --resume {copy}", 1, "{copy}", "process 77 on there (since noon",
            "is training it", "wait until it has ended", lock),
]  # fmt: skip


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
    write("bad.toml", "model = [")
    write("section.toml", "[modle]\nn_layer = 2\n")
    copy = shutil.copytree(names_run.path, tmp_path / "copy")
    message.spoil(copy)
    places = {"dir": tmp_path, "run": names_run.path, "copy": copy}
    words = [word.format(**places) for word in message.line.split(" ")]
    assert main(words) == message.code
    err = capsys.readouterr().err
    said = err[err.index("hornbook: ") :]
    for part in ("place", "found", "expected", "do"):
        assert getattr(message, part).format(**places) in said, f"{part}: {said}"
    assert "Traceback" not in err
    assert not re.search(r"\bNone\b|Errno|<class|object at 0x", said), said
