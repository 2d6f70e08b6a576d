"""A user's way: train on names by the command line, export to every target, open each elsewhere.

The same greedy text must come from all of them. Programs that are not installed are skipped.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import warnings
from pathlib import Path

import pytest

from hornbook.api import Run, load
from hornbook.cli.main import main
from hornbook.export.targets import TARGETS

PROMPTS = ("", "ma", "chr")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("journey") / "names"
    few = ["--steps", "60", "--training.eval-count", "1", "--training.sample-count", "0"]
    assert main(["train", "names", "--out", str(out), *few]) == 0
    return load(out)


@pytest.fixture(scope="module")
def expected(trained: Run) -> list[str]:
    return [trained.sample(prompt=prompt, temperature=0)[0].text for prompt in PROMPTS]


def exported(run: Run, to: str, out: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Where the command line wrote it, and that its own comparison found no difference."""
    module = f"hornbook.export.{TARGETS[to]}"
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"there is no target {to} yet")
    target = importlib.import_module(module)
    if target.PROGRAM is not None and importlib.util.find_spec(target.PROGRAM) is None:
        pytest.skip(f"needs {target.PROGRAM}: pip install '{target.INSTALL}'")
    if to == "gguf" and importlib.util.find_spec("gguf") is None:
        pytest.skip("needs gguf: pip install 'hornbook[gguf]'")
    capsys.readouterr()
    where = out / f"names{target.SUFFIX}"
    assert main(["export", str(run.path), "--to", to, "--out", str(where), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    if not found["checks"]:
        pytest.skip(found["unchecked"])
    assert all(check["equal"] for check in found["checks"]), found["checks"]
    return where


@pytest.mark.parametrize("to", TARGETS)
def test_every_target_is_equal(
    trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str
) -> None:
    assert exported(trained, to, tmp_path, capsys).exists()


def test_transformers_writes_the_same_names(
    trained: Run, expected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = exported(trained, "hf", tmp_path, capsys)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers = importlib.import_module("transformers")
        write = transformers.pipeline("text-generation", model=str(where))
        found = [
            write(prompt, do_sample=False, max_new_tokens=40)[0]["generated_text"]
            for prompt in PROMPTS
        ]
    assert found == expected


def test_llama_cpp_writes_the_same_names(
    trained: Run, expected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = exported(trained, "gguf", tmp_path, capsys)
    llama = importlib.import_module("hornbook.export.llama")
    with llama.serving(where, trained.model.context_length) as server:
        texts = [
            server.post("/v1/completions", prompt=prompt, max_tokens=40, temperature=0)
            for prompt in PROMPTS
        ]
    found = [
        prompt + text["choices"][0]["text"] for prompt, text in zip(PROMPTS, texts, strict=True)
    ]
    assert found == expected
