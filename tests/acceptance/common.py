"""What these tests share: commands typed in this process, and texts."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hornbook.cli.main import main

Cap = pytest.CaptureFixture[str]
QUICK = ("--training.threads", "1", "--precision", "fp32", "--training.compile", "no")
SMALL = ("--model.n-layer", "1", "--model.n-head", "2", "--model.n-kv-head", "2",
         "--model.n-embd", "16", "--model.n-hidden", "24")  # fmt: skip


def typed(capsys: Cap, *words: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command line."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def trained(capsys: Cap, *words: str | Path) -> str:
    """The summary of a run that is trained."""
    code, out, err = typed(capsys, "train", *words, *QUICK)
    assert code == 0, err
    return out


def report(run: Path) -> dict[str, Any]:
    """The figures of a run."""
    found: dict[str, Any] = json.loads((run / "report.json").read_text())
    return found


def row(summary: str, name: str) -> str:
    """What follows a name at the beginning of a line, with its continuations; empty where it is not."""
    found: list[str] = []
    inside = False
    for line in summary.splitlines():
        if line[:1].strip():
            inside = line.split(" ")[0] == name
        if inside:
            found.append(line.removeprefix(name).strip())
    return " ".join(found)


WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "jetty")


def sentences(n: int, seed: int = 0, words: Sequence[str] = WORDS) -> list[str]:
    """Random sentences of a few words."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(words, k=draw.randint(3, 8))) for _ in range(n)]
