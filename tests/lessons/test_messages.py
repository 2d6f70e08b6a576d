"""What checks say in Chinese: each sentence is there, in both directions."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hornbook.errors import ConfigError
from hornbook.lessons import check, exercises, hint
from hornbook.lessons.catalog import TEXTS
from hornbook.lessons.checking import Result, examine
from hornbook.lessons.exercise import find_exercise
from hornbook.lessons.messages import _translation, spoken, translated

Cap = pytest.CaptureFixture[str]
SECTIONS = json.loads((TEXTS / "zh/messages.json").read_text("utf-8"))
SOURCES = sorted(Path(str(exercises.__file__)).parent.glob("lesson*.py"))
DATA = {"übung 语", "hi a-b", "abcdé语🙂 "}  # texts that checks give to answers


def assert_chinese(result: Result) -> None:
    """Everything that a result says is in the table. What an answer raised may be anything."""
    for comparison in result.comparisons:
        name = comparison.what.isidentifier()  # of a variable, which stays
        assert name or _translation(comparison.what, "zh"), comparison.what
        assert _translation(comparison.words, "zh"), comparison.words
        assert not re.search(r"; |, expected", translated(comparison.words, "zh"))
    if result.fault:
        assert _translation(result.fault, "zh"), result.fault
    assert result.text("zh").startswith("练习 ")


def templates(path: Path) -> Iterator[str]:
    """The strings inside the checks of a file, with {} for what an f-string inserts."""
    for function in ast.parse(path.read_text("utf-8")).body:
        if not isinstance(function, ast.FunctionDef) or not function.name.startswith("_"):
            continue
        nodes = list(ast.walk(function))
        formats = {n.format_spec for n in nodes if isinstance(n, ast.FormattedValue)}
        joined = [n for n in nodes if isinstance(n, ast.JoinedStr)]
        parts = {value for node in joined for value in node.values}
        for node in joined:
            if node not in formats:
                yield "".join(
                    str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values
                )
        documented = ast.get_docstring(function, clean=False)
        for node in nodes:
            if not isinstance(node, ast.Constant) or node in parts or node.value == documented:
                continue
            if isinstance(node.value, str):
                yield node.value


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.stem))
def test_each_sentence_of_the_checks_is_in_the_table(path: Path) -> None:
    known = {english for part in SECTIONS.values() for english in part}
    said = {t for t in templates(path) if " " in t.strip() and re.search("[A-Za-z]{2}", t)}
    assert said - DATA <= known


def test_nothing_else_is_in_the_table() -> None:
    said = {t for path in SOURCES for t in templates(path)}
    for number, part in SECTIONS.items():
        if number.isdecimal():
            assert set(part) <= said, f"lesson {number}: no check says this any more"


def test_both_languages_insert_as_many_values() -> None:
    for part in SECTIONS.values():
        for english, chinese in part.items():
            n = english.count("{}")
            assert n or "{" not in chinese
            assert len(re.findall(r"\{\d?\}", chinese)) in (n, n - 1), english
            chinese.format(*range(n))


def test_values_and_parts_are_put_in_place() -> None:
    words = "the largest difference is 1 at [0, 0] (found 2, expected 1); 4 of 4 differ; the sign"
    assert translated(words, "en") == words
    assert translated(words, "zh") == (
        "最大差异为 1，位于 [0, 0]（得到 2，应为 1）；共 4 个数，有 4 个不同；符号错了"
    )
    assert translated("found a list of length 1, expected a number", "zh") == (
        "得到 长度为 1 的 list，应为 一个数"
    )
    assert translated("f: line 3: raised IndexError: list index out of range", "zh") == (
        "f：第 3 行抛出了 IndexError: list index out of range"
    )
    assert translated("an unknown sentence", "zh") == "an unknown sentence"


def test_a_notebook_says_once_which_language_it_is_in(
    monkeypatch: pytest.MonkeyPatch, capsys: Cap
) -> None:
    monkeypatch.delenv("HORNBOOK_LANG", raising=False)
    assert spoken() == "en"
    monkeypatch.setenv("HORNBOOK_LANG", "zh")
    check("1.2", find_exercise("1.2").solution)
    out = capsys.readouterr().out
    assert out.startswith("练习 1.2：手算梯度\n  正确     导数的个数：正确\n")
    assert "1.2 通过：3 轮新的随机输入全部正确" in out
    hint("1.2")
    assert capsys.readouterr().out.startswith("一次只看")
    check("1.2", find_exercise("1.2").solution, lang="en")
    assert capsys.readouterr().out.startswith("Exercise 1.2: ")
    monkeypatch.setenv("HORNBOOK_LANG", "fr")
    with pytest.raises(ConfigError, match="HORNBOOK_LANG: found 'fr', expected one of en, zh"):
        hint("1.2")


def test_what_an_answer_raises_is_said_in_chinese() -> None:
    def answer(a: float, b: float, c: float) -> float:
        raise ValueError("this; that")

    said = examine("1.2", answer).text("zh")
    line = answer.__code__.co_firstlineno + 1
    assert f"gradient_by_hand：第 {line} 行抛出了 ValueError: this; that" in said
    assert '1.2 还没有通过；hint("1.2") 可以看提示' in said
    assert "gradient_by_hand 无法调用" in examine("1.2", lambda: None).text("zh")
