"""The lessons: from one neuron to a GPT, each a text that runs, with exercises that check themselves.

    from hornbook.lessons import check, hint, solution    # what learners use
    from hornbook.lessons import fast                     # small settings, for a quick run of a lesson

    texts/NN_name.py       a lesson, in jupytext's percent format: prose and code in cells
    texts/zh/NN_name.md    the same prose in Chinese; the code is not repeated
    exercises/lessonNN.py  its exercises: hints, solutions and checks
    cells, catalog         a text as cells; the lessons that there are
    notebook, opening      a lesson as a notebook; JupyterLab or VS Code, which open it
    exercise, comparison   what an exercise is; an answer beside what was expected
    checking, messages     `check` and what it prints, also in Chinese; `hornbook check` for a file

How to write a lesson
---------------------
**The text** is a script that runs from top to bottom without IPython, and a notebook. It begins with

    # %% [markdown] name="title" needs="4, 5" reading="45" running="2"
    # # Lesson 6: Initialization, BatchNorm and diagnostics
    #
    # **New in this lesson:** ...

needs: the lessons before it that it builds on (may be empty). reading: minutes, exercises included.
running: minutes of computing on two cores, rounded up. Every prose cell has a name in kebab case that
the file has once; code cells need none. Figures are matplotlib's, each followed by `plt.show()`; an
object that displays itself, such as a drawing of the scalar engine, is the last line of its cell.
`steps = 200 if fast() else 10_000`, and prose that quotes a figure says what a full run gives. What a
lesson trains goes to a temporary directory. It ends with the cell `name="explain"`, "You can now
explain". Functions and names in a lesson have no docstrings where the prose just said what they do.

**An exercise** is a prose cell `exercise-7-5` whose first line is `### Exercise 7.5: <title>`, and a
code cell with a stub that the learner completes:

    # %%
    def batchnorm_backward(dy, z, gamma, eps):
        raise NotImplementedError  # your code


    check("7.5", batchnorm_backward)

`check` prints what it found and never raises, so the script passes with its stubs unwritten. The prose
says what the arguments and the result are, with shapes, and names the ways on once per lesson:
`hint("7.2")`, `solution("7.2")`, `hornbook check 7.2 my_file.py`. The first code cell imports all three
functions, `from hornbook.lessons import check, fast, hint, solution`; Chinese prose calls
`hint("7.2", lang="zh")`.

**Its check**, in exercises/lessonNN.py, is a generator function of a candidate and a `torch.Generator`.
It draws fresh inputs, computes what is right by torch or a closed form (not by the solution), and
yields a `Comparison` for each thing; it runs three times, and stops at the first that is wrong:

    def _check_mean(candidate: Any, generator: torch.Generator) -> Iterator[Comparison]:
        x = torch.randn(5, 3, generator=generator)
        mistakes = {"this is the mean of each column; average over each row": x.mean(0)}
        yield compare("the mean of each row", candidate(x.clone()), x.mean(1), mistakes=mistakes)

    EXERCISES = [
        Exercise("1.1", "row_mean", title="The mean of each row", hint="...", solution=row_mean,
                 check=_check_mean),
    ]

`mistakes`: the naive wrong answers that learners give, each with what to tell them. `holds` is a
comparison with a property instead of a value. A file of exercises has at most 400 lines.

**In Chinese**, texts/zh/NN_name.md has `<!-- cell: NAME -->` and the prose of each prose cell, in the
same order, then `<!-- hint: 7.2 -->` and the hint of each exercise. texts/zh/messages.json has what
checks say: each English sentence of exercises/lessonNN.py, `{}` where an f-string inserts a value, and
the Chinese one. A notebook in Chinese sets HORNBOOK_LANG, by which check and hint choose.

**Tests**: tests/lessons/test_texts.py compares the languages and tests/docs/test_lessons.py runs every
text, by themselves;
tests/lessons/exercises/test_lessonNN.py tries every solution, and every naive wrong answer with a part
of the message that it gets (see test_lesson01.py).
"""

from __future__ import annotations

import os

from hornbook.lessons.checking import check, hint, solution

__all__ = ["check", "fast", "hint", "solution"]


def fast() -> bool:
    """Whether lessons run with small settings: where HORNBOOK_LESSONS is `fast`, as in tests."""
    return os.environ.get("HORNBOOK_LESSONS", "") == "fast"
