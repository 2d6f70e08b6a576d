"""A run for ONNX Runtime: whole rows, and for a model with a cache, token by token.

    forward.onnx       input_ids (B, T) -> logits (B, T, V), of any B and T, packed documents too
    onnx/model.onnx    with past and present, named as by Hugging Face's exporters (`onnx_cache.py`)
    tokenizer.json, README.md
    config.json, tokenizer_config.json, generation_config.json: for transformers.js, where the cache is
        one of keys and values alone

Graphs are made by `torch.onnx.export` of the model in forms that ONNX has (`onnx_forms.py`).
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hornbook.errors import ConfigError, counted
from hornbook.export.base import Written, rounding_cost
from hornbook.export.huggingface import generation_config, tokenizer_config, tokenizer_json
from hornbook.export.onnx_cache import BATCH, EXAMPLE, SEQUENCE, Value, cached_reader
from hornbook.export.onnx_forms import DECOMPOSITIONS, install
from hornbook.export.onnx_readme import readme
from hornbook.export.onnx_runtime import CACHED, FORWARD, check, speed
from hornbook.files import write_bytes, write_json
from hornbook.machine import format_bytes
from hornbook.models.base import LanguageModel
from hornbook.runs.directory import StoredRun
from hornbook.version import __version__

PROGRAM = "onnxruntime"
INSTALL = "hornbook[onnx]"
DTYPES = ("f32", "f16")
SUFFIX = ""
__all__ = ["CACHED", "DTYPES", "FORWARD", "INSTALL", "PROGRAM", "SUFFIX", "check", "speed", "write"]

LARGEST = 1_900_000_000  # bytes of weights: a file of protobuf holds 2 GiB
OPSET = 20  # the newest that onnxruntime-web has had for years


class WholeRows(nn.Module):
    """What `forward.onnx` is made of: `forward` alone, without the conversion of other ids."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor) -> tuple[Tensor]:
        """(B, T) -> (B, T, V)."""
        return (self.model.forward(input_ids),)


def write(run: StoredRun, out: Path, dtype: str) -> Written:
    """Writes the folder. Raises ConfigError where `onnx` or `onnxscript` is not installed."""
    for module in ("onnx", "onnxscript"):
        if importlib.util.find_spec(module) is None:
            raise ConfigError(
                f"to: found no module {module}, which writes ONNX (pip install '{INSTALL}')"
            )
    model = run.model
    n_bytes = sum(w.nbytes for w in model.state_dict().values()) // (2 if dtype == "f16" else 1)
    if n_bytes > LARGEST:
        raise ConfigError(
            f"to: found {format_bytes(n_bytes)} of weights, expected at most {format_bytes(LARGEST)} "
            "in one ONNX file; export it to hf or gguf instead"
        )
    form = install(model)
    (out / CACHED).parent.mkdir(parents=True)
    facts = _facts(run, dtype)
    length: int | str = SEQUENCE if model.sliding or model.context_length > 1 else 1
    ids = Value("input_ids", (BATCH, length), torch.int64)
    longest = EXAMPLE[SEQUENCE] if model.sliding else model.context_length
    logits = Value("logits", (BATCH, length, model.vocab_size))
    example = ids.example()[:, :longest]
    graph = _graph(WholeRows(form), [ids], [logits], (example,), ([ids],))
    _save(graph, out / FORWARD, dtype, facts)
    reader, notes = cached_reader(model, form), list[str]()
    if dtype == "f16":
        rounded = {n: w.half().to(w.dtype) for n, w in model.named_parameters() if w.ndim > 1}
        notes += [rounding_cost(run, model, rounded)] if rounded else []
    if reader is not None:
        ids = Value("input_ids", (BATCH, SEQUENCE if reader.several else 1), torch.int64)
        past, logits = reader.past, Value("logits", (BATCH, 1, model.vocab_size))
        graph = _graph(
            reader,
            [ids, *past],
            [logits, *reader.present],
            (ids.example(), [value.example() for value in past]),
            ([ids], past),
        )
        _save(graph, out / CACHED, dtype, facts)
    else:
        (out / CACHED).parent.rmdir()
        notes.append(
            f"{model.config.name}: {FORWARD} alone; without a cache it reads its window of "
            f"{counted(model.context_length, 'token')} again for each new token"
        )
    write_json(out / "tokenizer.json", tokenizer_json(run.tokenizer))
    shape = None if reader is None else shape_of_keys(reader.past)
    if shape is not None:
        write_for_transformers(run, out, shape)
    several = None if reader is None else reader.several
    text = readme(run, several, browser=shape is not None)
    write_bytes(out / "README.md", text.encode())
    return Written(out, dtype, tuple(notes))


def shape_of_keys(past: Sequence[Value]) -> tuple[int, int, int] | None:
    """How many layers, heads of keys and channels of a head a cache has; None for another cache."""
    shapes = {value.shape[1::2] for value in past}
    if len(shapes) != 1 or not all(value.name.startswith("past_key_values") for value in past):
        return None
    heads, channels = (int(n) for n in shapes.pop())
    return len(past) // 2, heads, channels


def write_for_transformers(run: StoredRun, out: Path, shape: tuple[int, int, int]) -> None:
    """What transformers.js reads beside the graph: the shape of the cache, and how texts begin and end.

    The graph has all there is to know of the model; its type only says how the shape is written.
    """
    tokenizer, (layers, heads, channels) = run.tokenizer, shape
    config = {
        "model_type": "qwen3",
        "architectures": ["Qwen3ForCausalLM"],
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "head_dim": channels,
        "hidden_size": heads * channels,
        "vocab_size": tokenizer.vocab_size,
        "max_position_embeddings": run.model.context_length,
        "bos_token_id": tokenizer.start_id,
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": tokenizer.end_id,
    }
    settings = {"context_length": run.model.context_length}
    begins = {"add_bos_token": run.documents}  # or its pipeline would not ask the tokenizer for it
    write_json(out / "config.json", config)
    write_json(out / "tokenizer_config.json", tokenizer_config(tokenizer, settings) | begins)
    write_json(out / "generation_config.json", generation_config(tokenizer))


def _facts(run: StoredRun, dtype: str) -> dict[str, str]:
    """What a program may want to know of the model, as metadata of the graph."""
    facts = {
        "model": run.config.model.name,
        "vocab_size": run.model.vocab_size,
        "context_length": run.model.context_length,
        "end_id": run.tokenizer.end_id,
        "start_id": run.tokenizer.start_id,
        "weights": dtype,
        "validation_nats": run.report.get("validation", {}).get("nats"),
        "hornbook": __version__,
    }
    return {name: json.dumps(value) for name, value in facts.items()}


def _graph(
    module: nn.Module,
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    examples: tuple[Any, ...],
    arguments: tuple[Sequence[Value], ...],
) -> Any:
    """The graph of a function, as an onnx.ModelProto. arguments: the inputs as they are passed: the
    first alone, and the others in a list."""

    def dynamic(value: Value) -> dict[int, Any]:
        named = (i for i, n in enumerate(value.shape) if isinstance(n, str))
        return dict.fromkeys(named, torch.export.Dim.DYNAMIC)

    shapes: list[Any] = [dynamic(arguments[0][0])]
    shapes += [[dynamic(value) for value in values] for values in arguments[1:]]
    with torch.no_grad(), _quiet():
        traced = torch.export.export(module, examples, dynamic_shapes=tuple(shapes), strict=False)
        made = torch.onnx.export(
            traced.run_decompositions(DECOMPOSITIONS),
            dynamo=True,
            input_names=[value.name for value in inputs],
            output_names=[value.name for value in outputs],
            opset_version=OPSET,
            verbose=False,
        )
    assert made is not None
    proto = made.model_proto
    for values, known in ((proto.graph.input, inputs), (proto.graph.output, outputs)):
        for value, named in zip(values, known, strict=True):
            shape = value.type.tensor_type.shape
            del shape.dim[:]
            shape.SetInParent()  # of a scalar it is there, and empty
            for n in named.shape:
                dim = shape.dim.add()
                if isinstance(n, str):
                    dim.dim_param = n
                else:
                    dim.dim_value = n
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings, which are about itself."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _save(proto: Any, path: Path, dtype: str, facts: dict[str, str]) -> None:
    """Writes a graph without what the exporter noted about its making, which is a third of it."""
    onnx = importlib.import_module("onnx")
    _strip(proto.graph)
    del proto.graph.value_info[:]
    if dtype == "f16":
        _halve(proto.graph)
    proto.producer_name, proto.producer_version = "hornbook", __version__
    onnx.helper.set_model_props(proto, facts)
    onnx.checker.check_model(proto)
    write_bytes(path, proto.SerializeToString())


def _strip(graph: Any) -> None:
    onnx = importlib.import_module("onnx")
    graph.name, graph.doc_string = "hornbook", ""
    for item in (
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.initializer,
        *graph.value_info,
    ):
        del item.metadata_props[:]
        item.doc_string = ""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _strip(attribute.g)
                del attribute.g.value_info[:]


def _halve(graph: Any) -> None:
    """Stores matrices as float16; computes in float32 as before."""
    onnx = importlib.import_module("onnx")
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1:
            name, half = tensor.name, f"{tensor.name}.f16"
            array = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, half))
            casts.append(onnx.helper.make_node("Cast", [half], [name], to=onnx.TensorProto.FLOAT))
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *rest])
