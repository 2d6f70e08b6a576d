"""The commands of docs/howto and of two more pages, run page by page in their order: with few steps, a
small GPT where they name no model, and a few names in place of all. `test_readme.py` runs such commands
as they are."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.common import SMALL, Cap, run
from tests.printed import with_few_steps, with_few_steps_in_time

ROOT = Path(__file__).parent.parent
PAGES = sorted(p for p in (ROOT / "docs/howto").glob("*.md") if p.name != "index.md")
OTHERS = [ROOT / "docs/getting-started.md", ROOT / "docs/honest.md"]
NAMES = ROOT / "src/hornbook/data/names.txt"
FEW_NAMES = "few.txt"
SECOND = " | "  # a command whose stdin is what printf prints
FEWER = {"names": FEW_NAMES, "1,2": "1", "1,2,3": "1,2"}  # names, layers and seeds
SLOW = ("ladder", "inspect")  # run in test_readme.py
GPT = SMALL[: SMALL.index("--batch-size")]  # its sizes alone
TRAINED_OTHERWISE = {
    "--model",
    "--minutes",
    "--resume",
    "--config",
}  # no GPT that may be made small


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.stem)
def test_the_commands_work_as_printed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Cap
) -> None:
    monkeypatch.chdir(tmp_path)
    with_few_steps_in_time(monkeypatch)
    shutil.copytree(ROOT / "tests/corpora", tmp_path, dirs_exist_ok=True)
    names = NAMES.read_text("utf-8").splitlines(keepends=True)[::150]
    (tmp_path / FEW_NAMES).write_text("".join(names), "utf-8")
    lines = [
        line for block in blocks(page, "sh") for line in block.splitlines() if "hornbook" in line
    ]
    programs = blocks(page, "python")
    assert lines or programs
    for line in lines:
        typed, _, command = line.rpartition(SECOND)
        if typed:
            _, text = shlex.split(typed)
            monkeypatch.setattr(sys, "stdin", io.StringIO(text.replace("\\n", "\n")))
        _, verb, *words = shlex.split(command)
        if verb in SLOW:
            continue
        words = [FEWER.get(word, word) for word in words]
        if verb in ("train", "sweep") and not TRAINED_OTHERWISE & set(words):
            words = [*(GPT[2:] if "--layers" in words else GPT), *words]
        code, out, err = run(capsys, verb, *with_few_steps(verb, words))
        assert code == 0, f"{line}\n{err}"
        # an answer, or a sample, of an almost untrained model may be empty
        assert out.strip() or verb in ("chat", "sample"), line
    variables: dict[str, object] = {
        "SMALLER": {"training.sample_count": 0, "training.eval_count": 1}
    }
    for program in programs:
        few = program.replace('"names"', repr(FEW_NAMES))
        exec(few.replace("steps=300", "steps=3, progress=False, settings=SMALLER"), variables)


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs/howto/index.md").read_text("utf-8")
    listed = re.findall(r"^([a-z-]+)$", index, re.MULTILINE)
    assert sorted(listed) == [page.stem for page in PAGES]
