"""The parts of a large text as tokens on disk, memory-mapped: prepared once, recognised later.

A folder of the cache, named by what the tokens follow from: the text's sha256, how it is read and
split, the tokenizer. It is there whole or not at all; a damaged one is made again.
"""

from __future__ import annotations

import hashlib
import os
import random
from array import array
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.data.cache import Behind, cache_directory, mark, whole_folder
from hornbook.data.large import EXCERPT, Large
from hornbook.errors import RunError
from hornbook.files import dump, read_json, write_json
from hornbook.tokenizers import Tokenizer
from hornbook.tokenizers.base import Ids, Unknown

FORMAT = 1
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Recipe:
    """A large text and how it is split: bounds[p] to bounds[p + 1] is part p, in characters of a
    stream or in documents, which a seed shuffles before."""

    large: Large
    bounds: tuple[int, int, int, int]
    seed: int

    def key(self, tokenizer: Tokenizer, unknown: Unknown) -> str:
        """The name of the folder that holds its tokens."""
        large = self.large
        text = [large.sha256, large.encoding, large.kind, large.old_mac]
        split = [self.bounds, self.seed if large.kind == "documents" else 0]
        facts = dump([FORMAT, text, split, tokenizer.to_json(), unknown])
        return hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True)
class StoredPart:
    """Tokens (N,) and unit starts (units + 1,) as memory maps, see `part.Part`; its first text."""

    tokens: Ids
    starts: NDArray[np.int64]
    n_bytes: int
    excerpt: str


def prepare(
    recipe: Recipe, tokenizer: Tokenizer, unknown: Unknown = "error"
) -> tuple[dict[str, StoredPart], str]:
    """The parts that are not empty, and a line on where they come from.

    Documents stand in the order of the file, in the parts that shuffling gives them. Memory: some
    MB, and 8 bytes a document. Raises DataError where the cache cannot be written or the file has
    changed, or for unknown symbols.
    """
    folder = cache_directory() / "tokens" / recipe.key(tokenizer, unknown)
    damaged = ""
    if folder.exists():
        with suppress(RunError, OSError, KeyError, ValueError, TypeError):
            return _open(folder), f"tokens from {folder}, where an earlier run has put them"
        damaged = "; what lay there was damaged"
    begin = perf_counter()
    with whole_folder(folder) as partial:
        writers = [_Writer(partial / name, tokenizer) for name in PARTS]
        try:
            write = _write_documents if tokenizer.end_id is not None else _write_stream
            with Behind() as behind:
                write(recipe, tokenizer, unknown, writers, behind)
            facts = {w.path.name: w.finish() for w in writers if w.n > 1}  # one predicts nothing
        finally:
            for writer in writers:
                writer.close()
        write_json(partial / "facts.json", {"parts": facts})
    seconds, large = perf_counter() - begin, recipe.large
    speed = large.n_bytes / 1e6 / (large.seconds + seconds)
    return _open(folder), (
        f"{large.n_bytes / 1e6:,.0f} MB looked through in {large.seconds:.1f} s and turned into "
        f"tokens in {seconds:.1f} s ({speed:,.0f} MB/s in all), kept in {folder}{damaged}"
    )


def _open(folder: Path) -> dict[str, StoredPart]:
    """The parts of a folder. Raises RunError, OSError, KeyError, ValueError where it is damaged."""
    parts = {}
    for name, facts in read_json(folder / "facts.json")["parts"].items():
        for suffix, expected in facts["marks"].items():
            if mark(folder / f"{name}.{suffix}") != expected:
                raise ValueError(f"{name}.{suffix}")
        # copy on write: torch takes no read-only arrays, and nothing is ever written
        tokens = np.memmap(folder / f"{name}.tokens", np.dtype(facts["dtype"]), "c")
        starts: NDArray[np.int64] = np.array([0, len(tokens) - 1])
        if "starts" in facts["marks"]:
            starts = np.memmap(folder / f"{name}.starts", np.int64, "c")
        excerpt = (folder / f"{name}.txt").read_bytes().decode("utf-8", "surrogatepass")
        parts[name] = StoredPart(tokens, starts, facts["bytes"], excerpt)
    return parts


class _Writer:
    """Writes one part: tokens, of documents where they start, and the text it begins with."""

    def __init__(self, path: Path, tokenizer: Tokenizer) -> None:
        self.path, self.tokenizer, self.n, self.n_bytes = path, tokenizer, 0, 0
        self.dtype, self.excerpt, self.full = "", list[str](), False
        suffixes = ["tokens"] + (["starts"] if tokenizer.end_id is not None else [])
        self.files = {s: path.with_suffix(f".{s}").open("wb", buffering=0) for s in suffixes}

    def write(self, ids: Ids, ends: NDArray[np.int64] | None = None) -> None:
        """Tokens that follow those before; the very first is not predicted. ends: the places after
        the ends of documents among them."""
        if not len(ids):
            return
        self.dtype = ids.dtype.str
        if ends is not None:
            _write_all(self.files["starts"], self.n + ends - 1)
        self.n_bytes += self.tokenizer.count_bytes(ids if self.n else ids[1:])
        _write_all(self.files["tokens"], ids)
        self.n += len(ids)

    def show(self, text: str) -> None:
        """Text of this part, for the excerpt, until that is full."""
        self.excerpt.append(text[:EXCERPT])
        self.full = sum(map(len, self.excerpt)) >= EXCERPT

    def close(self) -> None:
        """Closes the files."""
        for file in self.files.values():
            file.close()

    def finish(self) -> dict[str, Any]:
        """Puts everything on the disk, which a rename must not outrun; what opens the part again."""
        for file in self.files.values():
            os.fsync(file.fileno())
        excerpt = "".join(self.excerpt)[:EXCERPT]
        if "starts" in self.files:
            excerpt = excerpt[: excerpt.rfind("\n") + 1]
        self.path.with_suffix(".txt").write_bytes(excerpt.encode("utf-8", "surrogatepass"))
        marks = {s: mark(self.path.with_suffix(f".{s}")) for s in (*self.files, "txt")}
        return {"dtype": self.dtype, "bytes": self.n_bytes, "marks": marks}


def _write_all(file: Any, values: NDArray[Any]) -> None:
    view = np.ascontiguousarray(values).data.cast("B")
    while view:
        view = view[file.write(view) :]


def _write_stream(
    recipe: Recipe,
    tokenizer: Tokenizer,
    unknown: Unknown,
    writers: list[_Writer],
    behind: Behind,
) -> None:
    place, last = 0, ""
    for piece in recipe.large.pieces():
        for writer, (begin, end) in zip(writers, pairwise(recipe.bounds), strict=True):
            text = piece[max(0, begin - place) : max(0, end - place)]
            if not text:
                continue
            if place <= begin and begin > 0:  # what the first prediction of a part sees
                before = (last + piece)[begin - place + len(last) - 1]
                behind(writer.write, tokenizer.encode(before, unknown=unknown)[-1:])
            behind(writer.write, tokenizer.encode(text, unknown=unknown))
            if not writer.full:
                writer.show(text)
        place, last = place + len(piece), piece[-1]


def _write_documents(
    recipe: Recipe,
    tokenizer: Tokenizer,
    unknown: Unknown,
    writers: list[_Writer],
    behind: Behind,
) -> None:
    part_of, place = assign(recipe.bounds, recipe.seed), 0
    for writer in writers:
        writer.write(tokenizer.encode_lines("\n"), np.array([1]))
    for piece in recipe.large.pieces():
        here = part_of[place : place + piece.count("\n")]
        place += len(here)
        ids = tokenizer.encode_lines(piece, unknown=unknown)
        sizes = np.diff(np.flatnonzero(ids == tokenizer.end_id), prepend=-1)
        behind(_deal, ids, sizes, here, writers)
        for p, writer in enumerate(writers):
            if not writer.full:
                lines = piece.split("\n")
                writer.show("".join(f"{lines[i]}\n" for i in np.flatnonzero(here == p).tolist()))


def _deal(
    ids: Ids, sizes: NDArray[np.int64], part_of: NDArray[np.uint8], writers: list[_Writer]
) -> None:
    """Writes whole documents, each to its part."""
    parts = np.repeat(part_of, sizes)
    for p, writer in enumerate(writers):
        writer.write(ids[parts == p], np.cumsum(sizes[part_of == p]))


def assign(bounds: tuple[int, int, int, int], seed: int) -> NDArray[np.uint8]:
    """The part of each document, (n,), as `random.Random(seed).shuffle` deals them out.

    The shuffle swaps from the end down (Fisher and Yates 1938) with a place drawn by rejection, so
    places are final once they are passed: the training part's own order is left out.
    """
    n = bounds[-1]
    order, draw = array("I"), random.Random(seed).getrandbits
    order.frombytes(np.arange(n, dtype=np.uint32).data.cast("B"))
    for i in range(n - 1, max(bounds[1], 1) - 1, -1):
        bits = (i + 1).bit_length()
        while (j := draw(bits)) > i:
            pass
        order[i], order[j] = order[j], order[i]
    view, parts = np.frombuffer(order, dtype=np.uint32), np.zeros(n, dtype=np.uint8)
    for p, (begin, end) in enumerate(pairwise(bounds)):
        parts[view[begin:end]] = p
    return parts
