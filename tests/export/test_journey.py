"""A user's way: train on names by the command line, export to every target, open each elsewhere.

The same greedy text must come from all of them. Programs that are not installed are skipped.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
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


def exported(run: Run, to: str, capsys: pytest.CaptureFixture[str]) -> Path:
    """Where the command line wrote it, once, and that its own comparison found no difference."""
    module = f"hornbook.export.{TARGETS[to]}"
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"there is no target {to} yet")
    target = importlib.import_module(module)
    if target.PROGRAM is not None and importlib.util.find_spec(target.PROGRAM) is None:
        pytest.skip(f"needs {target.PROGRAM}: pip install '{target.INSTALL}'")
    if to == "gguf" and importlib.util.find_spec("gguf") is None:
        pytest.skip("needs gguf: pip install 'hornbook[gguf]'")
    capsys.readouterr()
    where = run.path.with_name(f"names-{to}{target.SUFFIX}")
    if where.exists():
        return where
    assert main(["export", str(run.path), "--to", to, "--out", str(where), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    if not found["checks"]:
        pytest.skip(found["unchecked"])
    assert all(check["equal"] for check in found["checks"]), found["checks"]
    return where


@pytest.mark.parametrize("to", TARGETS)
def test_every_target_is_equal(trained: Run, capsys: pytest.CaptureFixture[str], to: str) -> None:
    assert exported(trained, to, capsys).exists()


def test_transformers_writes_the_same_names(
    trained: Run, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    where = exported(trained, "hf", capsys)
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
    trained: Run, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    where = exported(trained, "gguf", capsys)
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


def test_onnx_runtime_writes_the_same_names(
    trained: Run, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    where = exported(trained, "onnx", capsys)
    onnxruntime, tokenizers = map(importlib.import_module, ("onnxruntime", "tokenizers"))
    tokenizer = tokenizers.Tokenizer.from_file(str(where / "tokenizer.json"))
    session = onnxruntime.InferenceSession(where / "onnx" / "model.onnx")
    found = []
    for prompt in PROMPTS:
        past = {
            value.name: np.zeros((1, value.shape[1], 0, value.shape[3]), np.float32)
            for value in session.get_inputs()[1:]
        }
        ids = unread = tokenizer.encode(prompt).ids
        while ids[1:].count(ids[0]) == 0:  # the end, with which a document begins
            logits, *present = session.run(None, {"input_ids": np.array([unread]), **past})
            past = dict(zip(past, present, strict=True))
            unread = [int(logits[0, -1].argmax())]
            ids = ids + unread
        found.append(tokenizer.decode(ids))
    assert found == expected


def test_numpy_writes_the_same_names(
    trained: Run, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    program = exported(trained, "numpy", capsys) / "sample.py"
    greedy = [sys.executable, "-I", str(program), "-n", "1", "--temperature", "0", "--prompt"]
    found = [
        subprocess.run([*greedy, prompt], capture_output=True, text=True, check=True).stdout
        for prompt in PROMPTS
    ]
    assert found == [f"{text}\n" for text in expected]


def test_a_browser_writes_the_same_names(
    trained: Run, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    where = exported(trained, "html", capsys)
    module = importlib.import_module("hornbook.export.browser")
    program = module.find_browser()
    if program is None:
        pytest.skip("needs a browser (apt install chromium)")
    write = """async (prompt) => {
        const { backend } = hornbook;
        const { ids } = await backend.encode(prompt);
        const found = [];
        const request = { ids, maxTokens: 40, temperature: 0, seed: 0 };
        await backend.generate(request, (tokens) => found.push(...tokens));
        return prompt + found.map(({ token }) => token.text).join("");
    }"""
    with module.browser(program) as page:
        page.open(module.file_url(where))
        page.evaluate(importlib.import_module("hornbook.export.html").READY)
        found = [page.evaluate(f"({write})({json.dumps(prompt)})") for prompt in PROMPTS]
    assert found == expected
