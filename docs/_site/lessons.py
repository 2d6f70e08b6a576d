"""The lessons as pages: each is executed as a notebook, and shown with its outputs in each language.

`HORNBOOK_LESSONS=fast` runs them with small settings. What was executed is kept in
docs/generated/executed until the lesson, the code of hornbook or constraints.txt changes;
tests/docs/test_lessons.py fills it too.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.util import logging

import hornbook
from hornbook.lessons.catalog import LANGUAGES, Lesson
from hornbook.lessons.catalog import lessons as all_lessons
from hornbook.lessons.checking import unwritten
from hornbook.lessons.exercise import exercises_of
from hornbook.lessons.notebook import COLAB, notebook, repository, speaks

DOCS = Path(__file__).parents[1]
PAGES = DOCS / "lessons"
EXECUTED = DOCS / "generated/executed"
AT_ONCE = 2  # lessons that run side by side, with one thread each
LONGEST = 600  # seconds of one cell
WORDS = {
    "en": ("Notebook", "Python script", "Open in Colab", "中文"),
    "zh": ("Notebook", "Python 脚本", "在 Colab 中打开", "English"),
}
HEADS = {
    "en": ("lesson", "needs", "reading, exercises", "running", "exercises"),
    "zh": ("课程", "先修", "阅读与练习", "运行", "练习"),
}


def table(language: str) -> Iterator[str]:
    """The lessons as a table."""
    rows = ["| " + " | ".join(HEADS[language]) + " |", "| --- | --- | ---: | ---: | ---: |"]
    unit = {"en": "min", "zh": "分钟"}[language]
    for lesson in all_lessons():
        options = lesson.options
        cells = [
            f"[{lesson.number}. {lesson.title(language)}]({lesson.name}.ipynb)",
            options.get("needs") or "-",
            f"{options.get('reading', '?')} {unit}",
            f"{options.get('running', '?')} {unit}",
            str(len(lesson.exercises(language))),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    yield "\n".join(rows)
    names = "\n".join(lesson.name for lesson in all_lessons())
    yield f"```{{toctree}}\n:hidden:\n\n{names}\n```"


@cache
def _code() -> bytes:
    """A fingerprint of hornbook's own code and of the versions that it is used with."""
    folder = Path(hornbook.__file__).parent
    total = hashlib.sha256((DOCS.parent / "constraints.txt").read_bytes())
    for path in sorted(folder.rglob("*.py")):
        if "texts" not in path.parts:
            total.update(path.read_bytes())
    return total.digest()


def plain(lesson: Lesson, language: str = LANGUAGES[0]) -> NotebookNode:
    """A lesson's notebook without outputs."""
    return nbformat.reads(json.dumps(notebook(lesson, language)), as_version=4)


def executed(lesson: Lesson) -> NotebookNode:
    """A lesson's notebook with its outputs.

    Raises CellExecutionError where a cell fails, RuntimeError where the lesson leaves files.
    """
    found = plain(lesson)
    code = "".join(cell.source for cell in found.cells if cell.cell_type == "code")
    mode = os.environ.get("HORNBOOK_LESSONS", "")
    key = hashlib.sha256(code.encode() + mode.encode() + _code()).hexdigest()[:16]
    kept = EXECUTED / f"{lesson.name}-{key}.ipynb"
    if kept.exists():
        return nbformat.read(kept, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(found, timeout=LONGEST, kernel_name="python3", resources=resources).execute()
        if left := os.listdir(folder):
            raise RuntimeError(f"{lesson.path} leaves {', '.join(left)} where it runs")
    EXECUTED.mkdir(parents=True, exist_ok=True)
    for old in EXECUTED.glob(f"{lesson.name}-*.ipynb"):
        old.unlink()
    nbformat.write(found, kept)
    return found


def page(lesson: Lesson, language: str, run: NotebookNode) -> NotebookNode:
    """The page of a lesson: its prose in a language, and the outputs of its code."""
    found = plain(lesson, language)
    code, outputs = ([c for c in book.cells if c.cell_type == "code"] for book in (found, run))
    for cell, source in zip(code, outputs, strict=True):
        cell.outputs = [_said_in(language, lesson, output) for output in source.outputs]
        cell.execution_count = source.execution_count
    found.cells = found.cells[1:]  # without the one that installs
    heading, _, rest = found.cells[0].source.partition("\n")
    found.cells[0].source = f"{heading}\n\n{links(lesson, language)}\n{rest}"
    return found


def _said_in(language: str, lesson: Lesson, output: NotebookNode) -> NotebookNode:
    """An output with what checks say of the unwritten exercises in a language."""
    if output.output_type != "stream" or language == LANGUAGES[0]:
        return output
    text = output.text
    for exercise in exercises_of(lesson):
        found = unwritten(exercise)
        text = text.replace(str(found), found.text(language))
    return NotebookNode(output, text=text)


def links(lesson: Lesson, language: str) -> str:
    """A line with the ways to take the lesson elsewhere."""
    book, script, colab, translated = WORDS[language]
    english = language == LANGUAGES[0]
    files = f"{'' if english else '../'}files/{language}"
    parts = [
        f"{{download}}`{book} <{files}/{lesson.name}.ipynb>`",
        f"{{download}}`{script} <{files}/{lesson.name}.py>`",
    ]
    if address := repository():
        place = address.removeprefix("https://github.com/")
        path = f"{'' if english else 'zh/'}{lesson.name}.ipynb"
        parts.append(f"[{colab}]({COLAB}/github/{place}/blob/lessons-notebooks/{path})")
    else:
        parts.append(f"[{colab}]({COLAB}/#create=false&upload=true)")
    other = f"zh/{lesson.name}.ipynb" if english else f"../{lesson.name}.ipynb"
    parts.append(f"[{translated}]({other})")
    return f"```{{container}} lesson-links\n{' · '.join(parts)}\n```"


def script(lesson: Lesson, language: str) -> str:
    """A lesson as a script in percent format, its prose in a language."""
    lines = ["# %%", *speaks(language).strip().splitlines(), ""] if speaks(language) else []
    for cell in lesson.cells(language):
        if cell.prose:
            lines += ["# %% [markdown]", *(f"# {row}".rstrip() for row in cell.source.splitlines())]
        else:
            lines += ["# %%", *cell.source.splitlines()]
        lines.append("")
    return "\n".join(lines)


def write(app: Sphinx) -> None:
    """Writes the pages of all lessons, and what can be downloaded, below docs/lessons."""
    logger = logging.getLogger(__name__)
    for old in [*PAGES.glob("*.ipynb"), *(PAGES / "zh").glob("*.ipynb")]:
        old.unlink()
    shutil.rmtree(PAGES / "files", ignore_errors=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logger.info(f"executing {len(all_lessons())} lessons, {AT_ONCE} at once, unless they are kept")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {pool.submit(executed, lesson): lesson for lesson in all_lessons()}
        for future in as_completed(futures):
            lesson, run = futures[future], future.result()
            logger.info(f"lesson {lesson.number}: executed")
            for language in LANGUAGES:
                folder = PAGES / ("" if language == LANGUAGES[0] else language)
                files = PAGES / "files" / language
                files.mkdir(parents=True, exist_ok=True)
                nbformat.write(page(lesson, language, run), folder / f"{lesson.name}.ipynb")
                nbformat.write(plain(lesson, language), files / f"{lesson.name}.ipynb")
                (files / f"{lesson.name}.py").write_text(script(lesson, language), "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
