"""The examples of docs/serve.md, run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import hornbook
from hornbook.api import Run
from tests.serve.conftest import Live

pytest.importorskip("fastapi", reason="needs the extra serve")

PAGE = Path(hornbook.__file__).parents[2] / "docs" / "serve.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
CURL = [block for language, block in BLOCKS if block.startswith("curl")]
ADDRESS = "http://127.0.0.1:8000"


def here(example: str, live: Live) -> str:
    return example.replace(ADDRESS, live.url).replace("names-gpt", "names")


@pytest.mark.parametrize("command", CURL)
def test_curl(live: Live, command: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    words = shlex.split(here(command, live).replace("\\\n", ""))
    done = subprocess.run([*words, "-sS", "--fail"], capture_output=True, text=True, check=True)
    if "-N" in words:
        assert done.stdout.endswith("data: [DONE]\n\n")
    else:
        answer = json.loads(done.stdout)
        assert answer.get("choices") or answer["data"]


def test_python(live: Live, names_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openai", reason="needs the package openai")
    (program,) = [block for language, block in BLOCKS if language == "python"]
    exec(here(program, live) + "\nclient.close()\n", {})
    lines = capsys.readouterr().out.splitlines()
    expected = [s.text for s in names_run.sample(3, prompt="em", seed=1)]
    assert [line.split()[0] for line in lines] == expected


def test_every_endpoint_is_documented(live: Live) -> None:
    paths = json.loads(live.request("GET", "/openapi.json")[2])["paths"]
    text = PAGE.read_text("utf-8").replace("NAME", "{name}")
    for path in set(paths) - {"/v1/models/{name}"}:
        assert f"{path}`" in text or f"{path} " in text, path
