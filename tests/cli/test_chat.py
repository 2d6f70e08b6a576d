"""Prompts that are typed: answered by the template of a run, or continued."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.cli.main import main
from tests.cli.common import SMALL, Cap, run

FOLDER = Path(__file__).parent.parent / "corpora"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on pairs and on conversations."""
    folder = tmp_path_factory.mktemp("answers")
    for name in ("sums", "chats"):
        shutil.copy(FOLDER / f"{name}.jsonl", folder)
        words = ["train", str(folder / f"{name}.jsonl"), "--out", str(folder / name)]
        assert main([*words, "--steps", "60", "--context-length", "128", *SMALL]) == 0
    return folder


def types(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_each_line_is_answered(runs: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch) -> None:
    types(monkeypatch, "1+1=\n\n2+2=\n")
    code, out, _ = run(capsys, "chat", runs / "sums", "--temperature", "0")
    sums = Run.load(runs / "sums")
    assert code == 0
    assert out == "".join(f"{sums.answer(prompt)}\n" for prompt in ("1+1=", "2+2="))


def test_a_conversation_is_continued_and_begun_anew(
    runs: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    stream = Run.stream

    def watched(self: Run, *, prompt: str, **options: object) -> object:
        asked.append(prompt)
        return stream(self, prompt=prompt, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Run, "stream", watched)
    types(monkeypatch, "Thank you.\nWhere?\n/new\nThank you.\n")
    options = ["--temperature", "0", "--max-tokens", "9"]
    code, _, err = run(capsys, "chat", runs / "chats", *options)
    assert code == 0
    assert asked[0] == asked[2] == "user: Thank you.\nassistant: "
    if "oldest messages" not in err:
        assert asked[1].startswith(asked[0])
    assert asked[1].endswith("\nuser: Where?\nassistant: ")


def test_what_does_not_fit_into_the_context_is_forgotten(
    runs: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    types(monkeypatch, "Where is the oat at the barn?\n" * 4)
    code, _, err = run(capsys, "chat", runs / "chats", "--max-tokens", "20")
    assert code == 0
    assert err.count("the context has 128 tokens: the oldest messages are left out") == 1


def test_a_refused_prompt_does_not_end_it(
    runs: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    types(monkeypatch, "1+x=\n1+1=\n")
    code, out, err = run(capsys, "chat", runs / "sums", "--temperature", "0")
    assert (code, len(out.splitlines())) == (0, 2)
    assert "unknown characters: 'x'" in err


def test_other_runs_are_referred_to_sample(
    names_run: Run, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run(capsys, "chat", names_run.path)
    assert (code, f"hornbook sample {names_run.path} --interactive" in err) == (2, True)
    types(monkeypatch, "em\nava\n")
    options = ["--interactive", "--seed", "1"]
    code, out, _ = run(capsys, "sample", names_run.path, *options)
    assert code == 0
    assert [line[:2] for line in out.splitlines()] == ["em", "av"]
    code, _, err = run(capsys, "sample", names_run.path, "--interactive", "--prompt", "a")
    assert (code, "--prompt: found it beside --interactive" in err) == (2, True)


def test_a_person_is_told_what_to_type(
    runs: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    types(monkeypatch, "1+1=\n")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    _, _, err = run(capsys, "chat", runs / "sums")
    assert "one prompt a line; the end of the input (Ctrl-D) ends it" in err
    assert err.count("> ") == 2


def test_a_byte_that_is_no_text_is_an_error(
    runs: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.TextIOWrapper(io.BytesIO(b"1+1=\n\xff\n"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", raw)
    code, _, err = run(capsys, "chat", runs / "sums")
    assert (code, "stdin: found byte 0xff, which is not valid utf-8" in err) == (1, True)


def test_an_interrupt_ends_an_answer_and_not_the_talk(
    runs: Path, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Run, **_: object) -> Iterator[str]:
        yield "2"
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "stream", interrupted)
    types(monkeypatch, "1+1=\n2+2=\n")
    assert run(capsys, "chat", runs / "sums")[0] == 130  # nobody types: it ends
    types(monkeypatch, "1+1=\n2+2=\n")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    code, out, err = run(capsys, "chat", runs / "sums")
    assert (code, out, err.count("stopped; Ctrl-C once more")) == (0, "22", 2)


def test_the_report_and_the_facts_keep_what_chat_needs(runs: Path) -> None:
    sums, chats = (Run.load(runs / name) for name in ("sums", "chats"))
    assert sums.facts["corpus"]["read"] == {
        "format": "jsonl", "field": "prompt+completion", "header": "auto",
        "template": "{prompt}{completion}",
    }  # fmt: skip
    assert chats.facts["corpus"]["read"]["template"] == "{role}: {content}\n"
    assert sums.report["answers"]["prompts"] == 8
    assert "not judged" in sums.report["novelty"]["verdict"]
    assert all("=" in text for text in sums.report["samples"])  # of held-out prompts
    assert sums.template is not None
    with pytest.raises(ValueError, match=r"was not trained on prompts and answers"):
        Run.load(runs / "sums").__class__(sums.path, {"corpus": {}}, sums.config).answer("a")
