"""`hornbook lesson`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from hornbook.lessons import opening
from hornbook.lessons.catalog import TEXTS, lessons
from tests.cli.common import Cap, run


def test_the_lessons_are_listed(capsys: Cap) -> None:
    code, out, _ = run(capsys, "lesson")
    assert code == 0
    rows = out.splitlines()[1 : len(lessons()) + 1]
    for lesson, row in zip(lessons(), rows, strict=True):
        assert row.split()[0] == str(lesson.number)
        assert lesson.title() in row
        assert f"{lesson.options['reading']} min" in row


def test_the_lessons_are_listed_in_chinese(capsys: Cap) -> None:
    english = re.compile(
        r"\b(Lesson|lesson|needs|reading|running|min|exercises|opens|writes|runs)\b"
    )
    for arguments in ([], ["1"], ["7"]):
        out = run(capsys, "lesson", *arguments, "--lang", "zh")[1]
        assert not english.findall(out.replace("hornbook lesson", "").replace(str(TEXTS), ""))
        assert lessons()[0 if arguments != ["7"] else 6].title("zh") in out


def test_a_lesson_in_another_language_says_where_its_prose_lies(capsys: Cap) -> None:
    out = run(capsys, "lesson", "1", "--lang", "zh")[1]
    assert str(lessons()[0].path) in out.splitlines()
    assert str(lessons()[0].prose_path("zh")) in out
    assert "hornbook lesson 1 --lang zh --notebook" in out


def test_a_lesson_says_where_it_lies_and_what_its_exercises_are(capsys: Cap) -> None:
    code, out, _ = run(capsys, "lesson", "1")
    assert code == 0
    assert str(lessons()[0].path) in out.splitlines()
    assert "1.5  Softmax and a loss" in out
    assert "hornbook lesson 1 --open" in out
    assert "jupyter lab 01_autograd.ipynb, or code 01_autograd.ipynb" in out


def test_json_has_what_is_listed(capsys: Cap) -> None:
    known = json.loads(run(capsys, "lesson", "--json")[1])
    assert [entry["number"] for entry in known] == [lesson.number for lesson in lessons()]
    one = json.loads(run(capsys, "lesson", "1", "--json")[1])
    assert one == known[0]
    assert one["needs"] == []
    assert Path(one["path"]).is_file()


def test_a_lesson_is_written_as_a_notebook(
    capsys: Cap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "lesson", "1", "--notebook")
    assert (code, out) == (0, "")
    assert "01_autograd.ipynb" in err
    assert run(capsys, "lesson", "1", "--notebook", "--lang", "zh")[0] == 0
    assert (tmp_path / "01_autograd.zh.ipynb").is_file()
    assert run(capsys, "lesson", "1", "--notebook", "--lang", "zh", "--out", "mine.ipynb")[0] == 0
    made = json.loads((tmp_path / "mine.ipynb").read_text("utf-8"))
    assert "第 1 课" in made["cells"][1]["source"][0]
    code, _, err = run(capsys, "lesson", "1", "--notebook")
    assert code == 2
    assert "exists already; give another file (--out)" in err


def test_a_lesson_is_opened_as_it_is(
    capsys: Cap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    show = "import sys; print(sys.argv[1])"
    monkeypatch.setattr(opening, "opener", lambda: ("a viewer", [sys.executable, "-c", show]))
    for _ in range(2):  # the second time it is there already, and may hold somebody's work
        code, _, err = run(capsys, "lesson", "1", "--open", "--lang", "zh")
        assert code == 0
        assert "正在用 a viewer 打开 01_autograd.zh.ipynb" in err
    monkeypatch.setattr(opening, "opener", lambda: None)
    code, _, err = run(capsys, "lesson", "1", "--open")
    assert code == 2
    assert "found neither Jupyter beside hornbook nor VS Code" in err
    assert "pip install jupyterlab" in err
    assert (tmp_path / "01_autograd.ipynb").is_file()
    assert "found it without a lesson" in run(capsys, "lesson", "--open")[2]
