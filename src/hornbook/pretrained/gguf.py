"""A GGUF file of llama.cpp, read through the package gguf, which also undoes its quantization."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hornbook.errors import ConfigError, RunError
from hornbook.machine import available_memory, format_bytes
from hornbook.pretrained.base import Base
from hornbook.pretrained.forms import from_gguf
from hornbook.pretrained.hashing import sha256_of
from hornbook.pretrained.vocabulary import (
    DAMAGE,
    check_fits,
    fitted_to_tokenizer,
    gguf_tokenizer,
    template_of,
    tokenizer_of_model,
)
from hornbook.stages import stage, tracked

MAGIC = b"GGUF"


def read_gguf(source: str, path: Path) -> Base:
    """The model in a file. Raises RunError for what hornbook cannot represent, and says why."""
    package = _package()
    with stage(f"reading {path}"):
        try:
            reader = _reader(package, path)
            fields = {name: _value(field) for name, field in reader.fields.items()}
            data, begin, end = gguf_tokenizer(fields)
            tokenizer, said = tokenizer_of_model(data, begin, end)
            model, weights = from_gguf(fields, _tensors(package, reader))
            weights, cut = fitted_to_tokenizer(weights, tokenizer.vocab_size)
            check_fits(model, tokenizer, weights)
        except RunError as error:
            message = str(error)
            raise RunError(message if str(path) in message else f"{path}: {message}") from None
        except (*DAMAGE, ArithmeticError, RuntimeError, OSError) as error:
            raise RunError(f"{path}: damaged, or not a GGUF file: {error}") from None
    kinds = {t.tensor_type.name for t in reader.tensors} - {"F32"}
    quantized = f"the weights were {' and '.join(sorted(kinds))} and are float32 here"
    template, unknown = template_of(tokenizer, fields.get("tokenizer.chat_template"))
    return Base(
        source=source,
        path=path,
        model=model,
        tokenizer=tokenizer,
        tensors=weights,
        sha256=sha256_of(path),
        form=f"GGUF of {fields['general.architecture']}",
        template=template,
        notes=(*([quantized] if kinds else []), *said, *cut, *unknown),
    )


def _package() -> Any:
    try:
        return importlib.import_module("gguf")
    except ImportError:
        raise ConfigError(
            "a GGUF file needs the package gguf; install it with pip install 'hornbook[gguf]'"
        ) from None


def _reader(package: Any, path: Path) -> Any:
    class Reader(package.GGUFReader):  # type: ignore[misc]
        """One that notices the end of a file, after which the package's own reads on."""

        data: Any  # the mapped file

        def _get(self, offset: int, dtype: Any, count: int = 1, *others: Any, **named: Any) -> Any:
            if isinstance(self.data, np.memmap):
                self.data = self.data.view(np.ndarray)  # whose slices cost a fraction
            found = super()._get(offset, dtype, count, *others, **named)
            if len(found) < count:
                raise ValueError("it was cut off")
            return found

    return Reader(path)


def _value(field: Any) -> Any:
    """A field as plain data; floats, which are float32, as they were most likely written."""
    value = field.contents()
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _tensors(package: Any, reader: Any) -> dict[str, Tensor]:
    """The tensors in float32. Raises RunError where memory does not suffice."""
    needed, available = sum(4 * t.n_elements for t in reader.tensors), available_memory()
    if available is not None and needed > available:
        raise RunError(
            f"needs {format_bytes(needed)} of memory, found {format_bytes(available)} available"
        )
    found: dict[str, Tensor] = {}
    for tensor in tracked("reading weights", reader.tensors):
        try:
            values = package.dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError:
            raise RunError(
                f"{tensor.name}: found weights in {tensor.tensor_type.name}, which the package gguf "
                "does not read"
            ) from None
        shape = tuple(int(n) for n in reversed(tensor.shape))
        values = np.array(values, dtype=np.float32)  # a copy: what is read is mapped
        found[tensor.name] = torch.from_numpy(values).view(shape)
    return found
