"""The commands of docs/finetuning.md, run in their order with a small model."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.cli.common import SMALL, Cap, run

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/finetuning.md").read_text("utf-8")
COMMANDS = [
    line.partition("  #")[0]
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
SHORT = ["--steps", "3", "--threads", "1", "--precision", "fp32", "--training.eval-count", "1"]


def test_the_page_works_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Cap
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("names.txt", "finnish.txt"):
        shutil.copy(ROOT / "tests/corpora" / name, tmp_path)
    printed = {}
    for command in COMMANDS:
        _, *words = shlex.split(command)
        if words[0] == "train":
            words += SHORT if "--from" in words else [*SMALL, "--steps", "3", "--threads", "1"]
        code, out, err = run(capsys, *words)
        assert code == 0, f"{command}\n{err}"
        printed[words[-1] if words[0] == "show" else command] = out + err
    for row in (r"base +runs/base: gpt, sha256", r"old text +[0-9.]+ nats .* before"):
        assert re.search(row, printed["runs/finnish"]), printed["runs/finnish"]
    (lora,) = [text for command, text in printed.items() if "--lora" in command]
    assert "LoRA of rank 8" in lora
    assert (tmp_path / "runs/lora/adapter/adapter_config.json").exists()


def test_characters_that_the_base_lacks_are_an_error_with_two_ways_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Cap
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "tests/corpora/names.txt", tmp_path)
    (tmp_path / "new.txt").write_text("åse\någe\nmøre\nbo\nlone\nida\n" * 5)
    assert run(capsys, "train", "names.txt", "--steps", "1", "--out", "base", *SMALL)[0] == 0
    code, _, err = run(capsys, "train", "new.txt", "--from", "base", "--out", "run")
    assert code == 2
    assert "--grow" in err
    assert "--unknown skip" in err
    code, _, err = run(capsys, "train", "--resume", "base", "--data.corpus", "new.txt")
    assert code == 2
    assert "hornbook train new.txt --from base" in err
