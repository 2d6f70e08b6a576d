from __future__ import annotations

import re

from hornbook.api import Run
from hornbook.export.onnx_readme import readme


def programs(text: str) -> list[str]:
    """The Python programs in a README."""
    return re.findall(r"```python\n(.*?)```", text, re.S)


def test_it_says_how_rows_begin_and_how_long_they_are(names_run: Run, stream_run: Run) -> None:
    text = readme(names_run, True)
    assert "The id 0 ends a document" in text
    assert f"A row has at most {names_run.model.context_length} tokens." in text
    assert len(programs(text)) == 2
    assert "begin again" in text
    text = readme(stream_run, None)
    assert "The text is a stream" in text
    assert "break" not in text
    assert "model.onnx" not in text
    assert len(programs(text)) == 1


def test_its_programs_are_python(names_run: Run, stream_run: Run) -> None:
    for run in (names_run, stream_run):
        for several in (True, False):
            for program in programs(readme(run, several)):
                compile(program, "README.md", "exec")
