"""The file is read again by the package gguf, where it is installed (`hornbook[gguf]`)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

from hornbook.api import Run
from hornbook.errors import ConfigError
from hornbook.export import gguf as target
from hornbook.export.gguf import write
from hornbook.pretrained.forms import from_gguf
from tests.export.conftest import MakeRun


@pytest.fixture
def gguf() -> Any:
    return pytest.importorskip("gguf", reason="needs gguf: hornbook[gguf]")


def contents(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields and tensors by the package's own reader."""
    reader = importlib.import_module("gguf").GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    return fields, {tensor.name: tensor for tensor in reader.tensors}


@pytest.mark.parametrize("sizes", ["gpt", "tied", "llama", "wide"])
def test_the_model_comes_back_bit_for_bit(
    run_of: MakeRun, tmp_path: Path, gguf: Any, sizes: str
) -> None:
    run = run_of(sizes, documents=True)
    fields, tensors = contents(write(run, tmp_path / "x.gguf", "f32").path)
    weights = {n: torch.from_numpy(t.data.copy()) for n, t in tensors.items()}
    config, again = from_gguf(fields, weights)
    own = run.model.state_dict()
    assert config.model_dump(exclude={"dropout", "norm_eps"}) == run.model.config.model_dump(
        exclude={"dropout", "norm_eps"}
    )
    assert again.keys() == own.keys()
    assert all(torch.equal(again[name], own[name]) for name in own)


def test_rows_that_are_no_multiple_of_32_are_f16_and_it_is_said(
    run_of: MakeRun, tmp_path: Path, gguf: Any
) -> None:
    written = write(run_of("gpt", documents=True), tmp_path / "x.gguf", "q8_0")
    _, tensors = contents(written.path)
    kinds = {name: tensor.tensor_type.name for name, tensor in tensors.items()}
    assert kinds["blk.0.attn_q.weight"] == "Q8_0"
    assert kinds["blk.0.ffn_down.weight"] == "F16"  # rows of 24
    assert kinds["blk.0.attn_norm.weight"] == "F32"
    assert any("2 matrices, such as blk.0.ffn_down.weight" in note for note in written.notes)
    assert any("bits per byte" in note for note in written.notes)


def test_a_stream_has_an_end_that_is_never_generated(
    run_of: MakeRun, tmp_path: Path, gguf: Any
) -> None:
    run = run_of("gpt", documents=False)
    fields, tensors = contents(write(run, tmp_path / "x.gguf", "f32").path)
    n = run.tokenizer.vocab_size
    assert fields["tokenizer.ggml.eos_token_id"] == n
    assert fields["tokenizer.ggml.suppress_tokens"] == [n]
    assert fields["tokenizer.ggml.add_bos_token"] is False
    assert len(fields["tokenizer.ggml.tokens"]) == len(tensors["token_embd.weight"].data) == n + 1
    assert not tensors["output.weight"].data[n].any()


def test_a_modelfile_for_ollama_is_beside_it(names_run: Run, tmp_path: Path, gguf: Any) -> None:
    write(names_run, tmp_path / "x.gguf", "f16")
    lines = (tmp_path / "x.Modelfile").read_text().splitlines()
    assert lines[0] == "FROM ./x.gguf"
    assert f"PARAMETER num_ctx {names_run.model.context_length}" in lines
    assert 'PARAMETER stop "<|endoftext|>"' in lines
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.Modelfile", "x.gguf"]


def test_without_the_package_it_is_said_what_to_install(
    names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(target.importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'hornbook\[gguf\]'"):
        write(names_run, tmp_path / "x.gguf", "f32")
    assert not list(tmp_path.iterdir())
