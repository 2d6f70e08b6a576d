"""A directory of Hugging Face's transformers, read without transformers.

    config.json                   the form (`forms.py`) and its settings
    model.safetensors             the weights, or model.safetensors.index.json and several files
    tokenizer.json                the tokenizer
    generation_config.json        which ids begin and end a text, where config.json does not say

Pickled weights are never read, and code in the directory is never run.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from hornbook.errors import RunError
from hornbook.files import Header, read_json, read_tensors
from hornbook.machine import available_memory, format_bytes
from hornbook.pretrained.base import Base
from hornbook.pretrained.forms import from_huggingface
from hornbook.pretrained.hashing import sha256_of
from hornbook.pretrained.vocabulary import (
    DAMAGE,
    check_fits,
    fitted_to_tokenizer,
    template_of,
    tokenizer_of_model,
)
from hornbook.stages import stage

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
MOST_TEMPLATE = 1 << 16  # bytes
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def read_huggingface(source: str, folder: Path) -> Base:
    """The model in a directory. Raises RunError for what hornbook cannot represent, and says why."""
    files = weight_files(folder)
    config = read_json(folder / "config.json", foreign=True)
    data = _tokenizer_json(folder)
    with stage(f"reading {folder}"):
        try:
            model, weights = from_huggingface(config, _tensors(folder, files))
            generation = _optional(folder / "generation_config.json")
            begin, end = (_id(config, generation, f"{which}_token_id") for which in ("bos", "eos"))
            tokenizer, said = tokenizer_of_model(data, begin, end)
            weights, cut = fitted_to_tokenizer(weights, tokenizer.vocab_size)
            check_fits(model, tokenizer, weights)
        except RunError as error:
            message = str(error)
            raise RunError(message if str(folder) in message else f"{folder}: {message}") from None
        except (*DAMAGE, ArithmeticError, RuntimeError) as error:
            raise RunError(f"{folder}: damaged: {error}") from None
        sums = [sha256_of(file) for file in files]
    joined = hashlib.sha256("".join(sums).encode()).hexdigest()
    template, unknown = template_of(tokenizer, _chat_template(folder))
    return Base(
        source=source,
        path=folder,
        model=model,
        tokenizer=tokenizer,
        tensors=weights,
        sha256=sums[0] if len(sums) == 1 else joined,
        form=str(config["architectures"][0]),
        template=template,
        notes=(*said, *cut, *unknown),
    )


def weight_files(folder: Path) -> list[Path]:
    """The files of weights, by name. Raises RunError where there are none that may be read."""
    if os.path.exists(folder / WEIGHTS):
        return [folder / WEIGHTS]
    if os.path.exists(folder / INDEX):
        named = read_json(folder / INDEX, foreign=True).get("weight_map")
        names = set(named.values()) if isinstance(named, Mapping) else set()
        for name in names:
            if not isinstance(name, str) or Path(name).name != name or name in ("", ".."):
                raise RunError(f"{folder / INDEX}: found the file {name!r}, expected one beside it")
        if names:
            return [folder / name for name in sorted(names)]
        raise RunError(f"{folder / INDEX}: damaged: found no file of weights in weight_map")
    pickled = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLED)
    if pickled:
        raise RunError(
            f"{folder}: found {pickled[0]}, which is pickled and could run any code; expected "
            f"{WEIGHTS}, as transformers' save_pretrained writes it"
        )
    if os.path.exists(folder / "adapter_config.json"):
        raise RunError(f"{folder}: found an adapter alone, expected a whole model ({WEIGHTS})")
    raise RunError(f"{folder}: found no weights, expected {WEIGHTS}")


def _tensors(folder: Path, files: Iterable[Path]) -> dict[str, Tensor]:
    """All tensors, each of the file that the index names. Raises RunError where one is missing."""
    found: dict[str, Tensor] = {}
    named, halves = {}, 0

    def check(header: Header) -> None:
        """Raises RunError where memory does not suffice for float32, beside what is read."""
        nonlocal halves
        tensors = header.tensors.values()
        halves += sum(4 * t.numel() for t in tensors if t.itemsize != 4)
        needed, available = halves + sum(t.nbytes for t in tensors), available_memory()
        if available is not None and needed > available:
            raise RunError(
                f"needs {format_bytes(needed)} of memory in float32, found "
                f"{format_bytes(available)} available"
            )

    if os.path.exists(folder / INDEX) and not os.path.exists(folder / WEIGHTS):
        named = read_json(folder / INDEX, foreign=True)["weight_map"]
    for file in files:
        tensors = read_tensors(file, check, foreign=True)
        for name, expected in named.items():
            if expected == file.name and name not in tensors:
                raise RunError(f"{file}: found no {name}, expected it by {INDEX}")
        if twice := found.keys() & tensors.keys():
            raise RunError(f"{file}: found {min(twice)} in another file, too")
        found |= tensors
    return found


def _tokenizer_json(folder: Path) -> dict[str, Any]:
    file = folder / "tokenizer.json"
    if not os.path.exists(file):
        raise RunError(
            f"{folder}: found no tokenizer.json, expected one; "
            "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) of transformers writes it"
        )
    return read_json(file, foreign=True)


def _chat_template(folder: Path) -> str:
    """The program that makes a text of a conversation, which is not run; it is in one of two files."""
    if os.path.exists(file := folder / "chat_template.jinja"):
        with file.open("rb") as text:
            return text.read(MOST_TEMPLATE).decode("utf-8", "replace")
    return str(_optional(folder / "tokenizer_config.json").get("chat_template") or "")


def _optional(file: Path) -> dict[str, Any]:
    return read_json(file, foreign=True) if os.path.exists(file) else {}


def _id(config: Mapping[str, Any], generation: Mapping[str, Any], name: str) -> int | None:
    """An id of the settings; of several the first."""
    found = config.get(name) if config.get(name) is not None else generation.get(name)
    if isinstance(found, list):
        found = found[0] if found else None
    if found is not None and type(found) is not int:
        raise RunError(f"config.json: {name}: found {found!r}, expected a number")
    return found
