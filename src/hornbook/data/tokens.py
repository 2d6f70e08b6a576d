"""The tokens of a split corpus, written once and memory-mapped: one path for texts of every size.

The text comes in pieces (from memory or from its file), a piece becomes tokens, and these are dealt
out to the files of the parts. The files are in a folder of the cache, named by what the tokens follow
from: the text's sha256, how it is read and split, the tokenizer. The folder is there whole or not at
all; a damaged one is made again. Tokens of tiny texts go into files in memory instead
(`Limits.in_cache`), and so do those of a text that is held in memory where the cache cannot be
written.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hornbook.data.cache import (
    CacheError,
    cache_directory,
    fingerprint,
    remove_folder,
    whole_folder,
)
from hornbook.data.corpus import Corpus, in_pieces
from hornbook.data.part import Part
from hornbook.data.writer_thread import WriterThread
from hornbook.errors import DataError, RunError
from hornbook.files import dump, read_json, write_json
from hornbook.tokenizers.base import Ids, Tokenizer, Unknown

FORMAT = 2
PARTS = ("train", "validation", "test")
ATTEMPTS = 3  # another process may remove a folder that it found damaged

Facts = dict[str, dict[str, Any]]  # of each part: dtype, bytes, tokens, fingerprints of its files
ReadArray = Callable[[str, str], NDArray[Any]]  # of a file and a dtype


@dataclass(frozen=True)
class SplitCorpus:
    """A corpus and how it is split: bounds[p] to bounds[p + 1] is part p, in characters of a stream
    or in documents, which are shuffled before by `seed` (None: not at all)."""

    corpus: Corpus
    bounds: tuple[int, int, int, int]
    seed: int | None
    _loaded: dict[tuple[Tokenizer, Unknown], tuple[dict[str, Part], str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def parts(self, tokenizer: Tokenizer, unknown: Unknown = "error") -> dict[str, Part]:
        """The parts by name, an empty one with a single token; loaded once. Errors: `load_parts`."""
        return self._load(tokenizer, unknown)[0]

    def where(self, tokenizer: Tokenizer, unknown: Unknown = "error") -> str:
        """A line on where the tokens are, "" if nobody has to know it. Errors: `load_parts`."""
        return self._load(tokenizer, unknown)[1]

    def _load(self, tokenizer: Tokenizer, unknown: Unknown) -> tuple[dict[str, Part], str]:
        key = tokenizer, unknown
        if key not in self._loaded:
            self._loaded[key] = load_parts(self, tokenizer, unknown)
        return self._loaded[key]

    @cached_property
    def shuffled(self) -> tuple[str, ...]:
        """The documents of a corpus that is held in memory, in the order of the split."""
        documents = list(self.corpus.documents)
        if self.seed is not None:
            random.Random(self.seed).shuffle(documents)
        return tuple(documents)

    def documents(self) -> tuple[Iterator[str], NDArray[np.uint8]]:
        """The documents, one a line, in pieces; and the part of each, (documents,).

        This is the one place that says in which order documents become tokens. In memory it is the
        shuffled order: batches are drawn by position, so runs resume to the bit only in the order
        that they began with. Documents that are not in memory cannot be read in that order, and
        come in that of the file; the parts hold the same ones.
        """
        corpus = self.corpus
        if corpus.in_memory:
            part_of = np.repeat(np.arange(3, dtype=np.uint8), np.diff(self.bounds))
            return in_pieces(self.shuffled, corpus.limits.chunk), part_of
        return corpus.pieces(), assign(self.bounds, self.seed)

    def key(self, tokenizer: Tokenizer, unknown: Unknown) -> str:
        """The name of the folder that holds its tokens."""
        corpus = self.corpus
        text = [corpus.sha256, corpus.encoding, corpus.kind, corpus.cr_only]
        order = [self.seed, corpus.in_memory] if corpus.kind == "documents" else []
        facts = dump([FORMAT, text, self.bounds, order, tokenizer.to_json(), unknown])
        return hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def load_parts(
    source: SplitCorpus, tokenizer: Tokenizer, unknown: Unknown = "error"
) -> tuple[dict[str, Part], str]:
    """The parts by name, and a line on where their tokens are, if a reader should know it.

    Memory: some MB, and 8 bytes a document; tokens in memory, where they are, too.
    Raises CacheError where the cache of a text that is not in memory cannot be written; DataError
    where its file has changed, or for unknown characters.
    """
    corpus = source.corpus
    if unknown == "skip" and _knows(tokenizer, corpus):
        unknown = "error"  # the same tokens, so the same folder
    if corpus.n_bytes < corpus.limits.in_cache:
        return _in_memory(source, tokenizer, unknown), ""
    try:
        parts, where = _in_cache(source, tokenizer, unknown)
    except CacheError as error:
        if not corpus.in_memory:
            raise
        return _in_memory(source, tokenizer, unknown), f"tokens are kept in memory: {error}"
    return parts, "" if corpus.in_memory else where


def _knows(tokenizer: Tokenizer, corpus: Corpus) -> bool:
    alphabet = corpus.alphabet
    try:
        tokenizer.encode(alphabet if corpus.kind == "stream" else alphabet.replace("\n", ""))
    except DataError:
        return False
    return True


def _in_memory(source: SplitCorpus, tokenizer: Tokenizer, unknown: Unknown) -> dict[str, Part]:
    files: dict[str, io.BytesIO] = {}
    facts = _write(source, tokenizer, unknown, lambda name: files.setdefault(name, io.BytesIO()))
    return _parts(facts, lambda name, dtype: np.frombuffer(files[name].getbuffer(), dtype))


def _in_cache(
    source: SplitCorpus, tokenizer: Tokenizer, unknown: Unknown
) -> tuple[dict[str, Part], str]:
    folder = cache_directory() / "tokens" / source.key(tokenizer, unknown)
    seconds, damaged = 0.0, False
    for _ in range(ATTEMPTS):
        if os.path.exists(folder):  # False where it cannot be reached
            with suppress(RunError, OSError, KeyError, ValueError, TypeError):
                return _open(folder), _describe(folder, source.corpus, seconds, damaged=damaged)
            damaged = True
            remove_folder(folder)
        begin = perf_counter()
        _write_folder(source, tokenizer, unknown, folder)
        seconds += perf_counter() - begin
    raise DataError(
        f"{folder}: is gone as soon as it is written, expected no other process to remove it"
    )


def _write_folder(
    source: SplitCorpus, tokenizer: Tokenizer, unknown: Unknown, folder: Path
) -> None:
    files: dict[str, BinaryIO] = {}
    with whole_folder(folder) as partial, ExitStack() as stack:

        def create(name: str) -> BinaryIO:
            files[name] = stack.enter_context((partial / name).open("wb", buffering=0))
            return files[name]

        facts = _write(source, tokenizer, unknown, create)
        for file in files.values():  # everything is on the disk before the folder is there
            os.fsync(file.fileno())
        for name, part in facts.items():
            own = [file for file in files if file.startswith(f"{name}.")]
            part["files"] = {file: fingerprint(partial / file) for file in own}
        write_json(partial / "facts.json", {"parts": facts})


def _describe(folder: Path, corpus: Corpus, seconds: float, *, damaged: bool) -> str:
    if not seconds:
        return f"tokens from {folder}, written by an earlier run"
    speed = corpus.n_bytes / 1e6 / (corpus.seconds + seconds)
    return (
        f"{corpus.n_bytes / 1e6:,.0f} MB inspected in {corpus.seconds:.1f} s and turned into tokens "
        f"in {seconds:.1f} s ({speed:,.0f} MB/s in all), kept in {folder}"
        f"{'; what was there was damaged' if damaged else ''}"
    )


def _open(folder: Path) -> dict[str, Part]:
    """The parts of a folder. Raises RunError, OSError, KeyError, ValueError where it is damaged."""
    facts: Facts = read_json(folder / "facts.json")["parts"]
    for part in facts.values():
        for name, expected in part["files"].items():
            if fingerprint(folder / name) != expected:
                raise ValueError(name)
    # copy on write: torch takes no read-only arrays, and nothing is ever written
    return _parts(facts, lambda name, dtype: np.memmap(folder / name, np.dtype(dtype), "c"))


def _parts(facts: Facts, read: ReadArray) -> dict[str, Part]:
    parts = {}
    for name, part in facts.items():
        n, documents = part["tokens"], part["documents"]
        if n and np.dtype(part["dtype"]).kind != "u":
            raise ValueError(f"{name}: tokens of type {part['dtype']}")
        # an empty file cannot be mapped
        tokens = read(f"{name}.tokens", part["dtype"]) if n else np.empty(0, dtype=np.uint8)
        starts = read(f"{name}.starts", "<i8") if documents else np.array([0, n - 1])
        parts[name] = Part(tokens, starts, documents, part["bytes"])
    return parts


class _PartWriter:
    """Writes one part: its tokens, and of documents where they start."""

    def __init__(
        self, name: str, documents: bool, tokenizer: Tokenizer, create: Callable[[str], BinaryIO]
    ) -> None:
        self.name, self.documents, self.tokenizer = name, documents, tokenizer
        self.n = self.n_bytes = 0
        self.dtype = ""
        self.tokens = create(f"{name}.tokens")
        self.starts = create(f"{name}.starts") if documents else None

    def write(self, ids: Ids, ends: NDArray[np.int64] | None = None) -> None:
        """Tokens that follow those before; the very first of a part is not predicted. ends: the
        positions after the ends of documents among them."""
        if not len(ids):
            return
        self.dtype = ids.dtype.str
        if self.starts is not None and ends is not None:
            _write_all(self.starts, (self.n + ends - 1).astype("<i8"))
        self.n_bytes += self.tokenizer.count_bytes(ids if self.n else ids[1:])
        _write_all(self.tokens, ids)
        self.n += len(ids)

    def facts(self) -> dict[str, Any]:
        """What opens the part again."""
        return {
            "dtype": self.dtype, "documents": self.documents, "tokens": self.n,
            "bytes": self.n_bytes,
        }  # fmt: skip


def _write_all(file: BinaryIO, values: NDArray[Any]) -> None:
    view = np.ascontiguousarray(values).data.cast("B")
    while view:
        view = view[file.write(view) :]


def _write(
    source: SplitCorpus,
    tokenizer: Tokenizer,
    unknown: Unknown,
    create: Callable[[str], BinaryIO],
) -> Facts:
    """Writes the tokens of all parts into the files that `create` returns by their names."""
    documents = source.corpus.kind == "documents"
    writers = [_PartWriter(name, documents, tokenizer, create) for name in PARTS]
    write = _write_documents if documents else _write_stream
    with WriterThread() as thread:
        write(source, tokenizer, unknown, writers, thread)
    return {writer.name: writer.facts() for writer in writers}


def _write_stream(
    source: SplitCorpus,
    tokenizer: Tokenizer,
    unknown: Unknown,
    writers: list[_PartWriter],
    thread: WriterThread,
) -> None:
    position, last = 0, ""
    for piece in source.corpus.pieces():
        for writer, (begin, end) in zip(writers, pairwise(source.bounds), strict=True):
            text = piece[max(0, begin - position) : max(0, end - position)]
            if not text:
                continue
            if position <= begin and begin > 0:  # what the first prediction of a part reads
                before = (last + piece)[begin - position + len(last) - 1]
                thread.submit(writer.write, tokenizer.encode(before, unknown=unknown)[-1:])
            thread.submit(writer.write, tokenizer.encode(text, unknown=unknown))
        position, last = position + len(piece), piece[-1]


def _write_documents(
    source: SplitCorpus,
    tokenizer: Tokenizer,
    unknown: Unknown,
    writers: list[_PartWriter],
    thread: WriterThread,
) -> None:
    for writer in writers:
        writer.write(tokenizer.encode_lines("\n"), np.array([1]))
    pieces, part_of = source.documents()
    position = 0
    for piece in pieces:
        here = part_of[position : position + piece.count("\n")]
        position += len(here)
        ids = tokenizer.encode_lines(piece, unknown=unknown)
        sizes = np.diff(np.flatnonzero(ids == tokenizer.end_id), prepend=-1)
        thread.submit(_deal, ids, sizes, here, writers)


def _deal(
    ids: Ids, sizes: NDArray[np.int64], part_of: NDArray[np.uint8], writers: list[_PartWriter]
) -> None:
    """Writes whole documents, each to its part."""
    parts = np.repeat(part_of, sizes)
    for p, writer in enumerate(writers):
        writer.write(ids[parts == p], np.cumsum(sizes[part_of == p]))


def assign(bounds: tuple[int, int, int, int], seed: int | None) -> NDArray[np.uint8]:
    """The part of each document, (n,), as `random.Random(seed).shuffle` deals them out.

    The shuffle swaps from the end down (Fisher and Yates 1938) with a position drawn by rejection,
    so positions are final once they are passed: the training part's own order is left out.
    """
    n = bounds[-1]
    order = array("I")
    order.frombytes(np.arange(n, dtype=np.uint32).data.cast("B"))
    if seed is not None:
        draw = random.Random(seed).getrandbits
        for i in range(n - 1, max(bounds[1], 1) - 1, -1):
            bits = (i + 1).bit_length()
            while (j := draw(bits)) > i:
                pass
            order[i], order[j] = order[j], order[i]
    view, parts = np.frombuffer(order, dtype=np.uint32), np.zeros(n, dtype=np.uint8)
    for p, (begin, end) in enumerate(pairwise(bounds)):
        parts[view[begin:end]] = p
    return parts
