"""The commands of docs/texts.md, run in their order on the small corpora, by counts."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.common import SMALL, Cap, run

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/texts.md").read_text("utf-8")
COMMANDS = [
    line.partition("  #")[0]
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


def test_the_page_works_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Cap
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "tests/corpora", tmp_path, dirs_exist_ok=True)
    for name in ("names.txt", "sums.jsonl"):  # the runs that it talks to
        words = ["train", name, "--steps", "3", "--out", f"runs/{name.partition('.')[0]}-gpt"]
        code, _, err = run(capsys, *words, *SMALL)
        assert code == 0, err
    assert len(COMMANDS) > 12
    for command in COMMANDS:
        _, *words = shlex.split(command)
        monkeypatch.setattr(sys, "stdin", io.StringIO("1+1=\n" if "chat" in words else "em\n"))
        words += ["--model", "ngram", "--model.order", "2"] if words[0] == "train" else []
        code, out, err = run(capsys, *words)
        assert code == 0, f"{command}\n{err}"
        # an answer of an almost untrained model may be empty or white space
        assert out.strip() or words[0] == "chat", command


def test_the_message_of_the_page_is_what_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: Cap
) -> None:
    monkeypatch.chdir(ROOT / "tests/corpora")
    _, _, err = run(capsys, "data", "reviews.csv")
    (shown,) = re.findall(r"```\n(hornbook: .*?)```", PAGE, re.DOTALL)
    assert err == shown
