"""`hornbook check`."""

from __future__ import annotations

import pytest

from hornbook.lessons.exercise import find_exercise
from hornbook.stages import watched
from tests.cli.common import Cap, Write, run

RIGHT = "import math\n\n" + find_exercise("1.2").solution_code()


def test_a_right_answer(write: Write, capsys: Cap) -> None:
    code, out, _ = run(capsys, "check", "1.2", write("mine.py", RIGHT))
    assert code == 0
    assert "1.2 passed" in out


def test_a_wrong_answer_is_a_failure_and_a_hint_is_named(write: Write, capsys: Cap) -> None:
    wrong = write("mine.py", RIGHT.replace("1 / c**2", "-1 / c**2"))
    code, out, err = run(capsys, "check", "1.2", wrong)
    assert (code, err) == (1, "")
    assert "WRONG  df/dc" in out
    assert "hornbook check 1.2 --hint prints a hint" in out
    code, out, _ = run(capsys, "check", "1.2", wrong, "--hint", "--solution")
    assert code == 1
    assert "Take one variable at a time" in out
    assert "def gradient_by_hand(" in out


def test_without_a_file_the_exercise_is_shown(capsys: Cap) -> None:
    code, out, _ = run(capsys, "check", "1.2")
    assert code == 0
    assert out.startswith("### Exercise 1.2: ")
    assert "def gradient_by_hand(a, b, c):" in out
    statement = run(capsys, "check", "1.2", "--lang", "zh")[1]
    assert statement.startswith("### 练习 1.2：")
    assert 'check("1.2"' not in statement  # which a file does not import
    assert "hornbook check 1.2 my_file.py --lang zh" in statement
    assert "把它写进一个文件" in statement


def test_hints_and_solutions(capsys: Cap) -> None:
    assert run(capsys, "check", "1.2", "--hint", "--lang", "zh")[1].startswith("一次只看")
    assert run(capsys, "check", "1.2", "--solution")[1] == find_exercise("1.2").solution_code()


def test_odd_files_get_a_message(write: Write, capsys: Cap) -> None:
    said = {
        "def f(\n": "line 1: SyntaxError: '(' was never closed; it must run",
        b"x = 1\0": "found.py: SyntaxError: source code string cannot contain null bytes",
        "x = 1\n": "found no function gradient_by_hand",
        "gradient_by_hand = 3\n": "found no function gradient_by_hand",
        "import sys\nsys.exit()\n": "line 2: raised SystemExit; it must run",
        "import nosuch\n": "line 1: raised ModuleNotFoundError: No module named 'nosuch'",
    }
    for text, expected in said.items():
        file = write("found.py", text)
        code, out, err = run(capsys, "check", "1.2", file)
        assert (code, out) in ((1, ""), (2, "")), text
        assert expected in err
    for body, expected in {
        "sys.exit(3)": "line 5: raised SystemExit: 3",
        "return gradient_by_hand(a, b, c)": "line 5: raised RecursionError",
        "return print('aloud')": "aloud\nExercise 1.2",
        "yield 1": "found generator, expected 3",
    }.items():
        text = f"import sys\n\n\ndef gradient_by_hand(a, b, c):\n    {body}\n"
        code, out, err = run(capsys, "check", "1.2", write("found.py", text))
        assert (code, err) == (1, ""), body
        assert expected in out


def test_a_loop_without_end_is_told_and_stopped(
    write: Write, capsys: Cap, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what Ctrl-C raises, at the place where it finds the file
    loop = write("loop.py", "while True:\n    raise KeyboardInterrupt\n")
    code, _, err = run(capsys, "check", "1.2", loop)
    assert code == 130
    assert f"{loop}: line 2: interrupted; does a loop in it never end?" in err
    inside = "def gradient_by_hand(a, b, c):\n    while True:\n        raise KeyboardInterrupt\n"
    told: list[str | None] = []
    with watched(told.append):
        monkeypatch.setattr("hornbook.cli.main.speaks", lambda: False)
        code, _, err = run(capsys, "check", "1.2", write("loop.py", inside), "--lang", "zh")
    assert code == 130
    assert "loop.py：在第 3 行被中断；是不是有一个循环没有结束？" in err
    assert [what for what in told if what] == [f"running {loop}", "checking gradient_by_hand"]


def test_what_is_found_is_said_in_chinese(write: Write, capsys: Cap) -> None:
    wrong = write("mine.py", RIGHT.replace("1 / c**2", "-1 / c**2"))
    code, out, err = run(capsys, "check", "1.2", wrong, "--lang", "zh")
    assert (code, err) == (1, "")
    assert "符号错了：-1/c 就是 -c^-1" in out
    assert "1.2 还没有通过；hornbook check 1.2 --lang zh --hint 可以看提示" in out
    other = write("other.py", "def gradient_by_hands(): ...")
    code, _, err = run(capsys, "check", "1.2", other, "--lang", "zh")
    assert code == 2
    assert "没有找到函数 gradient_by_hand；是不是 'gradient_by_hands'？" in err
    broken = write("broken.py", "x = 1 / 0\n")
    err = run(capsys, "check", "1.2", broken, "--lang", "zh")[2]
    assert "第 1 行抛出了 ZeroDivisionError: division by zero；文件要先能运行" in err
    assert "没有这个文件" in run(capsys, "check", "1.2", "none.py", "--lang", "zh")[2]
