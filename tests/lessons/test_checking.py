"""`check`: rounds of random inputs, what a candidate raises, and files of Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hornbook.errors import ConfigError, DataError
from hornbook.lessons import check, fast, hint, solution
from hornbook.lessons.checking import ROUNDS, examine, load_candidate
from hornbook.lessons.exercise import find_exercise

Cap = pytest.CaptureFixture[str]
Write = Callable[[str, bytes | str], Path]
RIGHT = find_exercise("1.2").solution


def test_a_right_answer_passes_on_inputs_that_differ() -> None:
    points = []

    def answer(*point: float) -> Any:
        points.append(point)
        return RIGHT(*point)

    result = examine("1.2", answer, seed=3)
    assert result.passed
    assert len(set(points)) == ROUNDS
    assert f"1.2 passed, on {ROUNDS} rounds of fresh random inputs" in str(result)
    first = list(points)
    examine("1.2", answer, seed=3)
    assert points[ROUNDS:] == first
    examine("1.2", answer)
    assert not set(points[-ROUNDS:]) & set(first)


def test_an_answer_is_wrong_if_it_is_wrong_once() -> None:
    calls = []

    def answer(*point: float) -> Any:
        calls.append(point)
        return RIGHT(*point) if len(calls) < ROUNDS else (0.0, 0.0, 0.0)

    assert not examine("1.2", answer).passed


def test_check_prints_and_returns_nothing(capsys: Cap) -> None:
    check("1.2", RIGHT)
    out = capsys.readouterr().out
    assert out.startswith(
        "Exercise 1.2: The gradient, by hand\n  ok     how many derivatives: correct"
    )


def test_an_exception_is_told_with_its_line(capsys: Cap) -> None:
    def answer(a: float, b: float, c: float) -> Any:
        return a / 0

    check("1.2", answer)
    out = capsys.readouterr().out
    line = answer.__code__.co_firstlineno + 1
    assert f"gradient_by_hand: line {line}: raised ZeroDivisionError" in out
    assert 'hint("1.2") prints a hint' in out


def test_what_cannot_be_called_is_not_said_to_raise() -> None:
    said = str(examine("1.2", lambda: None))
    assert "gradient_by_hand cannot be called, or its result not compared (TypeError: " in said
    assert "does it take these arguments" in said


def test_a_result_of_another_kind_is_said() -> None:
    said = str(examine("1.2", lambda *_: None))
    assert "how many derivatives: found NoneType, expected 3" in said
    assert "raised" not in said


def test_what_is_not_written_is_not_called_wrong(capsys: Cap) -> None:
    def stub(a: float, b: float, c: float) -> Any:
        raise NotImplementedError

    check("1.2", stub)
    out = capsys.readouterr().out
    assert "gradient_by_hand is not written yet" in out
    assert "WRONG" not in out


def test_hints_and_solutions(capsys: Cap) -> None:
    hint("1.2")
    assert capsys.readouterr().out.startswith("Take one variable at a time")
    hint("1.2", lang="zh")
    assert capsys.readouterr().out.startswith("一次只看")
    solution("1.2")
    assert capsys.readouterr().out.startswith("def gradient_by_hand(")
    with pytest.raises(ConfigError, match="lang: found 'fr', expected one of en, zh"):
        hint("1.2", lang="fr")


def test_a_function_from_a_file(write: Write) -> None:
    write("other.py", "HALF = 0.5\n")
    lines = [
        "from __future__ import annotations",
        "from dataclasses import dataclass",
        "from other import HALF",
        "@dataclass",
        "class Number:",
        "    data: float",
        "def gradient_by_hand(a, b, c):",
        "    return Number(HALF).data",
    ]
    path = write("mine.py", "\n".join(lines))
    assert load_candidate(find_exercise("1.2"), path)(1, 2, 3) == 0.5


@pytest.mark.parametrize(
    ("name", "text", "kind", "message"),
    [
        ("mine.txt", "", DataError, r"mine.txt: found .txt, expected a file of Python"),
        ("mine.py", "x = 1\ny = 1 / 0\n", DataError, "mine.py: line 2: raised ZeroDivisionError"),
        ("mine.py", "x = 1\ndef f(:\n", DataError, "mine.py: line 2: SyntaxError"),
        ("mine.py", "import hornbok\n", DataError, "raised ModuleNotFoundError: .*hornbok"),
        ("mine.py", "def gradient_by_hands(a): ...", ConfigError,
         "found no function gradient_by_hand; did you mean 'gradient_by_hands'"),
        ("mine.py", "gradient_by_hand = 3", ConfigError, "found no function gradient_by_hand"),
        ("mine.py", "raise SystemExit(2)", DataError, "raised SystemExit"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_checked(
    name: str, text: str, kind: type[Exception], message: str, write: Write
) -> None:
    with pytest.raises(kind, match=message):
        load_candidate(find_exercise("1.2"), write(name, text))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.py: found no such file"):
        load_candidate(find_exercise("1.2"), tmp_path / "none.py")


def test_fast_is_asked_for_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HORNBOOK_LESSONS", raising=False)
    assert not fast()
    monkeypatch.setenv("HORNBOOK_LESSONS", "fast")
    assert fast()
