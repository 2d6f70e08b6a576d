"""Directories of transformers: its own models with random weights, and those that hornbook wrote."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from hornbook.errors import RunError
from hornbook.export.huggingface import write
from hornbook.files import read_tensors, write_tensors
from hornbook.pretrained.huggingface import read_huggingface, weight_files
from hornbook.pretrained.importing import import_base
from hornbook.run import Run
from tests.export.common import make_run
from tests.pretrained.common import CONFIGS, built, rows, save_model


@pytest.mark.parametrize("name", CONFIGS)
def test_the_logits_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    theirs = save_model(tmp_path, name)
    model = built(read_huggingface("x", tmp_path))
    assert model.end_id == 289
    with torch.inference_mode():
        expected, found = theirs(rows()).logits, model(rows())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_weights_in_several_files_and_in_bfloat16(tmp_path: Path) -> None:
    theirs = save_model(tmp_path, "llama", torch.bfloat16, max_shard_size="20KB")
    files = weight_files(tmp_path)
    assert len(files) > 1
    base = read_huggingface("x", tmp_path)
    assert all(tensor.dtype == torch.float32 for tensor in base.tensors.values())
    expected = theirs.state_dict()["model.layers.1.mlp.up_proj.weight"].float()
    assert torch.equal(base.tensors["blocks.1.mlp.up_proj.weight"], expected)
    files[0].unlink()
    with pytest.raises(RunError, match=files[0].name):
        read_huggingface("x", tmp_path)


@pytest.mark.parametrize("sizes", ["gpt", "llama", "wide", "tied", "openai", "narrow"])
@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_a_directory_that_hornbook_wrote_comes_back_bit_for_bit(
    tmp_path: Path, sizes: str, tokenizer: str
) -> None:
    documents = sizes != "wide"
    run = make_run(tmp_path, sizes, documents=documents, tokenizer=tokenizer)
    first = write(run, tmp_path / "first", "f32").path
    made = Run.of(import_base(first, tmp_path / "again").run)
    second = write(made, tmp_path / "second", "f32").path
    before, after = (read_tensors(path / "model.safetensors") for path in (first, second))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    for file in ("config.json", "tokenizer.json"):
        assert (first / file).read_text() == (second / file).read_text()
    if sizes != "narrow":
        assert made.tokenizer.to_json() == run.tokenizer.to_json()
        own, again = run.model.state_dict(), made.model.state_dict()
        assert all(torch.equal(own[name], again[name]) for name in own)


def test_it_needs_no_transformers_and_may_be_a_cache_of_links(tmp_path: Path) -> None:
    run = make_run(tmp_path, "llama", documents=True)
    folder = write(run, tmp_path / "blobs", "f32").path
    (tmp_path / "snapshot").mkdir()
    for file in folder.iterdir():
        os.symlink(file, tmp_path / "snapshot" / file.name)
    base = read_huggingface("x", tmp_path / "snapshot")
    ids = torch.tensor([[base.tokenizer.end_id or 0, 3, 5]])
    assert torch.equal(built(base)(ids), run.model(ids))
    assert base.form == "LlamaForCausalLM"


def test_older_files_without_the_head_and_with_tables(tmp_path: Path) -> None:
    theirs = save_model(tmp_path, "gpt2")
    file = tmp_path / "model.safetensors"
    tensors = read_tensors(file, foreign=True)
    bare = {name.removeprefix("transformer."): w for name, w in tensors.items()}
    bare["h.0.attn.bias"] = torch.ones(1, 1, 24, 24).tril()
    write_tensors(file, bare)
    with torch.inference_mode():
        expected, found = theirs(rows()).logits, built(read_huggingface("x", tmp_path))(rows())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    run = make_run(folder, "llama", documents=True)
    return write(run, folder / "hf", "f32").path


def changed(llama: Path, folder: Path, **changes: Any) -> Path:
    """A copy of the directory with changes to config.json."""
    for file in llama.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["MistralForCausalLM"]}, "Qwen3ForCausalLM, LlamaForCausalLM or GPT2"),
        ({"architectures": None}, "architectures: found 'none'"),
        ({"attention_bias": True}, "attention_bias: found True, expected False"),
        ({"mlp_bias": True}, "mlp_bias: found True"),
        ({"hidden_act": "gelu"}, "hidden_act: found 'gelu', expected 'silu'"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type: found 'yarn', which scales"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear"}}, "found 'linear'"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor: found 0.5"),
        ({"layer_types": ["sliding_attention"]}, "found 'sliding_attention'"),
        ({"auto_map": {"AutoModel": "code.Model"}}, "code of its own, which hornbook never runs"),
        ({"quantization_config": {"bits": 4}}, "quantized weights"),
        ({"hidden_size": 31, "head_dim": 7}, "head_dim must be even"),
        ({"hidden_size": 64}, "weights do not fit the model: .*: found"),
        ({"num_hidden_layers": 3}, "found no 'blocks.2"),
        ({"num_attention_heads": "four"}, "damaged|n_head"),
        ({"intermediate_size": None}, "intermediate_size: found nothing"),
        ({"bos_token_id": "one"}, "bos_token_id: found 'one'"),
    ],
)
def test_what_hornbook_cannot_represent_is_refused(
    llama: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RunError, match=message) as caught:
        read_huggingface("x", changed(llama, tmp_path, **changes))
    assert str(tmp_path) in str(caught.value)


def test_biases_are_refused(llama: Path, tmp_path: Path) -> None:
    file = changed(llama, tmp_path) / "model.safetensors"
    bias = {"model.layers.0.self_attn.q_proj.bias": torch.zeros(32)}
    write_tensors(file, read_tensors(file) | bias)
    with pytest.raises(RunError, match="this form has no biases there"):
        read_huggingface("x", tmp_path)


@pytest.mark.parametrize(
    ("norm", "message"),
    [
        (
            torch.ones(32, dtype=torch.int64),
            "norm.weight: found weights in int64, expected floating",
        ),
        (
            torch.ones(32) * torch.nan,
            "norm.weight: found weights that are infinite or not a number",
        ),
        (torch.ones(()), r"weights do not fit the model: norm.weight: found"),
    ],
)
def test_weights_that_are_none_are_refused(
    llama: Path, tmp_path: Path, norm: torch.Tensor, message: str
) -> None:
    file = changed(llama, tmp_path) / "model.safetensors"
    write_tensors(file, read_tensors(file) | {"model.norm.weight": norm})
    with pytest.raises(RunError, match=message):
        read_huggingface("x", tmp_path)


def test_memory_has_to_suffice_for_float32(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = changed(llama, tmp_path) / "model.safetensors"
    write_tensors(file, {name: w.bfloat16() for name, w in read_tensors(file).items()})
    size = sum(w.nbytes for w in read_tensors(file).values())
    monkeypatch.setattr("hornbook.pretrained.huggingface.available_memory", lambda: 3 * size)
    assert read_huggingface("x", tmp_path).tensors
    monkeypatch.setattr("hornbook.pretrained.huggingface.available_memory", lambda: 3 * size - 1)
    with pytest.raises(RunError, match=r"model.safetensors: needs .* of memory in float32, found"):
        read_huggingface("x", tmp_path)


def test_a_head_beside_a_tied_embedding_has_to_be_the_same(llama: Path, tmp_path: Path) -> None:
    file = changed(llama, tmp_path, tie_word_embeddings=True) / "model.safetensors"
    with pytest.raises(RunError, match="tie_word_embeddings: found True, but the head has other"):
        read_huggingface("x", tmp_path)
    tensors = read_tensors(file)
    write_tensors(file, tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()})
    assert "head.weight" not in read_huggingface("x", tmp_path).tensors


def test_more_rows_than_tokens_are_left_out_and_fewer_are_refused(
    llama: Path, tmp_path: Path
) -> None:
    file = changed(llama, tmp_path) / "model.safetensors"
    tensors, names = read_tensors(file), ("model.embed_tokens.weight", "lm_head.weight")
    rest = {name: w for name, w in tensors.items() if name not in names}
    more = {name: torch.cat([tensors[name], torch.ones(7, 32)]) for name in names}
    write_tensors(file, rest | more)
    base = read_huggingface("x", tmp_path)
    assert torch.equal(base.tensors["head.weight"], tensors["lm_head.weight"])
    assert any("7 rows of the embedding" in note for note in base.notes)
    write_tensors(file, rest | {name: tensors[name][:-1].clone() for name in names})
    with pytest.raises(RunError, match="embeddings of"):
        read_huggingface("x", tmp_path)


def test_pickles_and_files_elsewhere_are_never_read(llama: Path, tmp_path: Path) -> None:
    changed(llama, tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(RunError, match="pickled and could run any code"):
        read_huggingface("x", tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    for name in ("../elsewhere.safetensors", "/etc/passwd", "", 3):
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(RunError, match="expected one beside it"):
            weight_files(tmp_path)
    index.write_text(json.dumps({"weight_map": []}))
    with pytest.raises(RunError, match="damaged"):
        weight_files(tmp_path)
    index.unlink()
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(RunError, match="found no weights"):
        weight_files(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(RunError, match="an adapter alone"):
        weight_files(tmp_path)


def test_without_a_tokenizer_it_is_said_how_to_make_one(llama: Path, tmp_path: Path) -> None:
    (changed(llama, tmp_path) / "tokenizer.json").unlink()
    with pytest.raises(RunError, match="save_pretrained"):
        read_huggingface("x", tmp_path)
