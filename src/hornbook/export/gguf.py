"""Target `gguf`: one file for llama.cpp and Ollama, and an Ollama Modelfile beside it.

Written by the package gguf, without llama.cpp's conversion scripts, which refuse unknown tokenizers.
Vectors, and GPT-2's positions, stay in float32; of q8_0 matrices whose rows are no multiple of 32 are
f16. Checked by a prebuilt llama.cpp, the package xllamacpp (`llama.py`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from hornbook.errors import ConfigError
from hornbook.export import llama
from hornbook.export.base import Check, Written, rounding_cost
from hornbook.export.forms import Portable, portable, to_gguf
from hornbook.export.vocabulary import Vocabulary, vocabulary
from hornbook.files import write_bytes
from hornbook.runs.directory import StoredRun

PROGRAM, INSTALL, SUFFIX = "xllamacpp", "xllamacpp", ".gguf"
DTYPES = ("f32", "f16", "bf16", "q8_0")
BLOCK = 32  # of q8_0: so many numbers of a row share a factor
# of `forms.scaled_relu`: f16 ends at 65,504, and so must the hidden layer
SCALES = {"f32": 4096.0, "f16": 256.0, "bf16": 4096.0, "q8_0": 256.0}
CHAT = "{% for message in messages %}{{ message.content }}{% endfor %}"  # no roles, just the text


def beside(out: Path) -> tuple[Path, ...]:
    """What is written beside the file. Raises ConfigError for a file that would be the same."""
    modelfile = out.with_suffix(".Modelfile")
    if modelfile == out:
        raise ConfigError(
            f"out: found {out}, which is the Modelfile's name; expected a name such as "
            f"{out.with_suffix(SUFFIX).name}"
        )
    return (modelfile,)


def write(run: StoredRun, out: Path, dtype: str) -> Written:
    """Writes the file. Raises ConfigError where llama.cpp has no form of the model, or without gguf."""
    package, found = _package(), portable(run)
    fields, weights = to_gguf(found, SCALES[dtype])
    words = vocabulary(run.tokenizer)
    writer = package.GGUFWriter(None, found.form.gguf)
    for key, value in {**fields, **_general(run, words)}.items():
        _add(writer, key, value)
    _add_vocabulary(writer, words)
    kept = []
    for name, weight in weights.items():
        if name in ("token_embd.weight", "output.weight"):
            weight = F.pad(weight, (0, 0, 0, words.added))
        kind = _kind(name, weight, dtype)
        kept += [name] if kind != dtype and weight.ndim == 2 and dtype == "q8_0" else []
        raw = _as(package, weight, kind)
        writer.add_tensor(name, raw, raw_dtype=package.GGMLQuantizationType[kind.upper()])
    partial = out.with_name(f".{out.name}.partial")
    writer.write_header_to_file(partial)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(out)
    (modelfile,) = beside(out)
    write_bytes(modelfile, _modelfile(out.name, found, words).encode())
    notes = [*found.notes, f"for Ollama: ollama create NAME -f {modelfile}"]
    notes += _differences(run, found, kept)
    if dtype != "f32":
        notes.append(rounding_cost(run, found.model, _rounded(package, found, dtype)))
    return Written(out, dtype, tuple(notes))


def check(run: StoredRun, written: Written) -> list[Check]:
    """Starts llama.cpp's HTTP server on the file; compares tokens, logits and the greedy text."""
    return llama.compare(run, written)


def speed(run: StoredRun, written: Written) -> float:
    """Tokens per second of llama.cpp."""
    return llama.speed(run, written)


def _package() -> Any:
    try:
        return importlib.import_module("gguf")
    except ImportError:
        raise ConfigError(
            "to: gguf needs the package gguf; install it with pip install 'hornbook[gguf]'"
        ) from None


def _general(run: StoredRun, words: Vocabulary) -> dict[str, Any]:
    made = f"trained by hornbook on {run.facts['corpus']['name']}"
    form = None if run.template is None else run.template.form
    return {
        "general.name": run.path.resolve().name,
        "general.description": f"imported from {run.imported}" if run.imported else made,
        "general.sampling.temp": 1.0,
        "general.sampling.top_k": 0,
        "general.sampling.top_p": 1.0,
        "general.sampling.min_p": 0.0,
        "general.sampling.penalty_repeat": 1.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": words.words,
        "tokenizer.ggml.bos_token_id": words.end_id,
        "tokenizer.ggml.eos_token_id": words.end_id,
        "tokenizer.ggml.padding_token_id": words.end_id,
        "tokenizer.ggml.add_bos_token": words.documents,
        "tokenizer.chat_template": CHAT if form is None else form.program(),
    }


def _add(writer: Any, key: str, value: Any) -> None:
    kinds = {bool: "bool", int: "int32" if "sampling" in key else "uint32", float: "float32"}
    getattr(writer, f"add_{kinds.get(type(value), 'string')}")(key, value)


def _add_vocabulary(writer: Any, words: Vocabulary) -> None:
    writer.add_token_list([token.encode("utf-8", "surrogatepass") for token in words.tokens])
    writer.add_token_types(words.types)
    writer.add_token_merges(words.merges)
    if not words.documents:  # llama.cpp wants an end: there is one, and it is never generated
        writer.add_array("tokenizer.ggml.suppress_tokens", [words.end_id])


def _kind(name: str, weight: Tensor, dtype: str) -> str:
    """What a weight is written as."""
    if weight.ndim == 1 or name == "position_embd.weight":
        return "f32"
    return "f16" if dtype == "q8_0" and weight.shape[-1] % BLOCK else dtype


def _as(package: Any, weight: Tensor, kind: str) -> NDArray[Any]:
    raw: NDArray[Any] = package.quantize(
        np.ascontiguousarray(weight.numpy()), package.GGMLQuantizationType[kind.upper()]
    )
    return raw


def _rounded(package: Any, found: Portable, dtype: str) -> Mapping[str, Tensor]:
    """The weights of the model here as they are read again."""
    rounded = {}
    for name, weight in found.model.state_dict().items():
        kind = _kind(name.replace("position_embedding", "position_embd"), weight, dtype)
        as_kind = package.GGMLQuantizationType[kind.upper()]
        again = package.dequantize(_as(package, weight.float().cpu(), kind), as_kind)
        rounded[name] = torch.from_numpy(again.copy()).view_as(weight)
    return rounded


def _differences(run: StoredRun, found: Portable, kept: list[str]) -> list[str]:
    """What is not as in the run, a sentence each."""
    notes = []
    if run.tokenizer.kind == "char":
        notes.append("characters that it does not know are dropped, as by --unknown skip")
    if kept:
        notes.append(
            f"f16 instead of q8_0, since their rows are no multiple of {BLOCK}: {len(kept)} matrices, "
            f"such as {kept[0]}"
        )
    if found.settings.get("activation") in llama.APPROXIMATED:
        notes.append("llama.cpp computes GELU by its tanh approximation, in float16")
    return notes


def _modelfile(name: str, found: Portable, words: Vocabulary) -> str:
    """For Ollama: the prompt as it is, no filters, the context, and the end of a document."""
    lines = [
        f"FROM ./{name}",
        'TEMPLATE """{{ .Prompt }}"""',
        f"PARAMETER num_ctx {found.settings['context_length']}",
        "PARAMETER temperature 1",
        "PARAMETER top_k 0",
        "PARAMETER top_p 1",
        "PARAMETER min_p 0",
        "PARAMETER repeat_penalty 1",
    ]
    if words.documents:
        lines.append(f'PARAMETER stop "{words.tokens[words.end_id]}"')
    return "\n".join(lines) + "\n"
