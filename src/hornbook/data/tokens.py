"""The tokens of a split corpus, written once and memory-mapped: one path for texts of every size.

The text comes in pieces (from memory or from its file), a piece becomes tokens, and these are dealt
out to the files of the parts. The files are memory-mapped from a folder of the cache, which is named
by what the tokens follow from: the text's sha256, how it is read and split, the tokenizer. The folder
is there whole or not at all; a damaged one is made again. Where the cache cannot be used, a text that
is held in memory has its tokens in memory too.
"""

from __future__ import annotations

import hashlib
import os
import random
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from io import BytesIO
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from time import perf_counter
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hornbook.data.cache import (
    SAMPLED_WHOLE,
    CacheError,
    cache_directory,
    fingerprint,
    remove_folder,
    whole_folder,
)
from hornbook.data.corpus import Corpus
from hornbook.data.part import Part
from hornbook.data.separators import LINE
from hornbook.data.template import encode_answers
from hornbook.data.writer_thread import writer_thread
from hornbook.errors import DataError, RunError
from hornbook.files import dump, read_json
from hornbook.tokenizers.base import Ids, Tokenizer, Unknown, as_lines

FORMAT = 4
PARTS = ("train", "validation", "test")
FILES = tuple(f"{name}.{what}" for name in PARTS for what in ("tokens", "starts"))
ATTEMPTS = 3  # another process may remove a folder that it found damaged

ANSWERS = tuple(f"{name}.answers" for name in PARTS)  # of a corpus of prompts with answers, too

Sizes = dict[str, dict[str, int]]  # of each part: tokens, bytes of text
Encode = Callable[[str], Ids]
Cut = Callable[[Iterable[str]], Iterator[str]]
Submit = Callable[..., None]  # see writer_thread
ReadArray = Callable[[str, np.dtype[Any]], NDArray[Any]]  # of a file


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

    def load(self, tokenizer: Tokenizer, unknown: Unknown = "error") -> tuple[dict[str, Part], str]:
        """The parts by name, and a message about where their tokens are ("" where that is as usual);
        loaded once.

        Memory: some MB, and 8 bytes a document; tokens in memory, where they are, too.
        Raises CacheError where the cache cannot be used and the text is not held in memory;
        DataError where the file of the text has changed, or for unknown characters.
        """
        key = tokenizer, unknown
        if key not in self._loaded:
            try:
                self._loaded[key] = _load_cached(self, tokenizer, unknown)
            except CacheError as error:
                if not self.corpus.in_memory:
                    raise
                parts = _load_in_memory(self, tokenizer, unknown)
                self._loaded[key] = parts, f"tokens in memory, not in the cache: {error}"
        return self._loaded[key]

    @cached_property
    def shuffled(self) -> tuple[str, ...]:
        """The documents of a corpus that is held in memory, in the order of the split."""
        return self._shuffled(self.corpus.documents)

    def _shuffled(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        documents = list(texts)
        if self.seed is not None:
            random.Random(self.seed).shuffle(documents)
        return tuple(documents)

    @property
    def n_training_bytes(self) -> int:
        """About how many UTF-8 bytes the training part has."""
        return round(self.corpus.n_bytes * self.bounds[1] / self.bounds[3])

    def training_text(self, most: int) -> Iterator[str]:
        """The beginning of the training part, `most` characters, in pieces."""
        left = most
        for piece in self._training_pieces():
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return

    def _training_pieces(self) -> Iterator[str]:
        if self.corpus.kind == "stream":
            yield from (text for p, text in _stretches(self) if p == 0)
            return
        pieces, part_of = self.documents()
        first, end, template = 0, self.corpus.document_end, self.corpus.origin.template
        shown: Callable[[str], str] = str if template is None else template.shown
        for piece in pieces:
            texts = piece.split(end)[:-1]
            parts = part_of[first : first + len(texts)].tolist()
            yield from (shown(t) for t, p in zip(texts, parts, strict=True) if p == 0)
            first += len(texts)

    def documents(self) -> tuple[Iterable[str], NDArray[np.uint8]]:
        """The documents, each ended by `document_end`, their answers marked, in pieces; and the part of
        each, (documents,).

        This alone decides in which order documents become tokens. In memory it is the shuffled
        order: batches are drawn by position, so runs resume to the bit only in the order that they
        began with. Documents that are not in memory cannot be read in that order, and come in that
        of the file; the parts hold the same ones.
        """
        if self.corpus.in_memory:
            part_of = np.repeat(np.arange(3, dtype=np.uint8), np.diff(self.bounds))
            documents = self._shuffled(self.corpus.marked) if self.corpus.answers else self.shuffled
            return [as_lines(documents, self.corpus.document_end)], part_of
        return self.corpus.pieces(marked=True), assign(self.bounds, self.seed)

    @property
    def files(self) -> tuple[str, ...]:
        """The files of its tokens."""
        return (*FILES, *ANSWERS) if self.corpus.answers else FILES


def _load_in_memory(source: SplitCorpus, tokenizer: Tokenizer, unknown: Unknown) -> dict[str, Part]:
    files = {name: BytesIO() for name in source.files}
    sizes = _write(source, tokenizer, unknown, files)
    return _parts(
        sizes, source, tokenizer, lambda n, dtype: np.frombuffer(files[n].getbuffer(), dtype)
    )


def _load_cached(
    source: SplitCorpus, tokenizer: Tokenizer, unknown: Unknown
) -> tuple[dict[str, Part], str]:
    corpus = source.corpus
    if unknown == "skip":
        with suppress(DataError):  # nothing is unknown: the same tokens, so the same folder
            encode = tokenizer.encode if corpus.kind == "stream" else tokenizer.encode_lines
            encode(corpus.alphabet)
            unknown = "error"
    text = [corpus.sha256, corpus.encoding, corpus.kind, corpus.cr_ends]
    text += [] if corpus.separator in ("", LINE) else [corpus.separator]
    order = [source.seed, corpus.in_memory] if corpus.kind == "documents" else []
    facts = dump([FORMAT, text, source.bounds, order, tokenizer.to_json(), unknown])
    name = hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    folder = cache_directory() / "tokens" / name
    seconds, damaged = 0.0, False
    for _ in range(ATTEMPTS):
        if os.path.exists(folder):  # False where it cannot be reached
            with suppress(RunError, OSError, KeyError, ValueError, TypeError):
                parts = _open(folder, source, tokenizer)
                return parts, _describe(folder, corpus, seconds, damaged=damaged)
            damaged = True
            remove_folder(folder)
        begin = perf_counter()
        with whole_folder(folder) as unfinished, ExitStack() as stack:
            files = {n: stack.enter_context((unfinished / n).open("wb")) for n in source.files}
            sizes = _write(source, tokenizer, unknown, files)
            for file in files.values():
                file.flush()
                if file.tell() > SAMPLED_WHOLE:  # a smaller one is verified whole when it is opened
                    os.fsync(file.fileno())
            fingerprints = {name: fingerprint(unfinished / name) for name in source.files}
            facts = dump({"parts": sizes, "files": fingerprints})
            (unfinished / "facts.json").write_text(facts, "utf-8")
        seconds += perf_counter() - begin
    raise CacheError(folder, RunError("what is written there is gone or damaged at once"))


def _describe(folder: Path, corpus: Corpus, seconds: float, *, damaged: bool) -> str:
    if corpus.in_memory and not damaged:
        return ""
    if not seconds:
        return f"tokens from {folder}, written by an earlier run"
    speed = corpus.n_bytes / 1e6 / (corpus.seconds + seconds)
    return (
        f"{corpus.n_bytes / 1e6:,.0f} MB inspected in {corpus.seconds:.1f} s and turned into tokens "
        f"in {seconds:.1f} s ({speed:,.0f} MB/s in all), kept in {folder}"
        f"{'; what was there was damaged' if damaged else ''}"
    )


def _open(folder: Path, source: SplitCorpus, tokenizer: Tokenizer) -> dict[str, Part]:
    """The parts of a folder. Raises RunError, OSError, KeyError, ValueError where it is damaged."""
    facts = read_json(folder / "facts.json")
    for name in source.files:
        if fingerprint(folder / name) != facts["files"][name]:
            raise ValueError(name)
    # copy on write: torch takes no read-only arrays, and nothing is ever written
    return _parts(
        facts["parts"], source, tokenizer, lambda n, dtype: np.memmap(folder / n, dtype, "c")
    )


def _parts(
    sizes: Sizes, source: SplitCorpus, tokenizer: Tokenizer, read: ReadArray
) -> dict[str, Part]:
    parts, documents = {}, tokenizer.end_id is not None
    for name in PARTS:
        n, dtype = sizes[name]["tokens"], tokenizer.encode("").dtype
        # an empty file cannot be mapped
        tokens = read(f"{name}.tokens", dtype) if n else np.empty(0, dtype)
        starts = read(f"{name}.starts", np.dtype("<i8")) if documents else np.array([0, n - 1])
        answers = read(f"{name}.answers", np.dtype(np.bool_)) if source.corpus.answers else None
        parts[name] = Part(tokens, starts, documents, sizes[name]["bytes"], answers)
    return parts


class _PartWriter:
    """Writes one part: its tokens, where documents start, and which tokens are of answers."""

    def __init__(self, tokenizer: Tokenizer, files: Mapping[str, BinaryIO], name: str) -> None:
        self.tokenizer = tokenizer
        self.tokens, self.starts = files[f"{name}.tokens"], files[f"{name}.starts"]
        self.answers = files.get(f"{name}.answers")
        self.n = self.n_bytes = 0

    def write(self, ids: Ids, answers: NDArray[np.bool_] | None = None) -> None:
        """Tokens that follow those before; the very first of a part is not predicted."""
        if self.tokenizer.end_id is not None:
            starts = self.n + np.flatnonzero(ids == self.tokenizer.end_id)
            self.starts.write(starts.astype("<i8").data)
        self.tokens.write(ids.data)
        predicted = ids if self.n else ids[1:]
        self.n += len(ids)
        if self.answers is not None:
            answers = np.zeros(len(ids), dtype=np.bool_) if answers is None else answers
            self.answers.write(answers.data)
            predicted = predicted[answers[len(answers) - len(predicted) :]]
        self.n_bytes += self.tokenizer.count_bytes(predicted)


def _write(
    source: SplitCorpus, tokenizer: Tokenizer, unknown: Unknown, files: Mapping[str, BinaryIO]
) -> Sizes:
    """Writes the tokens of all parts into FILES."""
    writers = [_PartWriter(tokenizer, files, name) for name in PARTS]
    documents = source.corpus.kind == "documents"
    with writer_thread() as submit:
        if source.corpus.answers:
            _write_answers(source, tokenizer, unknown, writers, submit)
        elif documents:
            encode = partial(tokenizer.encode_lines, unknown=unknown)
            _write_documents(source, encode, writers, submit)
        else:
            encode = partial(tokenizer.encode, unknown=unknown)
            _write_stream(source, encode, tokenizer.cut, writers, submit)
    return {
        name: {"tokens": writer.n, "bytes": writer.n_bytes}
        for name, writer in zip(PARTS, writers, strict=True)
    }


def _write_stream(
    source: SplitCorpus, encode: Encode, cut: Cut, writers: list[_PartWriter], submit: Submit
) -> None:
    before = encode("")
    for p, stretches in groupby(_stretches(source), key=itemgetter(0)):
        first = True
        for text in cut(text for _, text in stretches):
            ids = encode(text)
            # the first prediction of a part reads the last token before it
            submit(writers[p].write, np.concatenate([before, ids]) if first else ids)
            before, first = ids[-1:], False


def _stretches(source: SplitCorpus) -> Iterator[tuple[int, str]]:
    """A stream in pieces, each with the number of the part that it belongs to."""
    position = 0
    for piece in source.corpus.pieces():
        for p, (begin, end) in enumerate(pairwise(source.bounds)):
            if text := piece[max(0, begin - position) : max(0, end - position)]:
                yield p, text
        position += len(piece)


def _write_documents(
    source: SplitCorpus, encode: Encode, writers: list[_PartWriter], submit: Submit
) -> None:
    end = encode(source.corpus.document_end)
    for writer in writers:
        writer.write(end)
    pieces, part_of = source.documents()
    position = 0
    for piece in pieces:
        ids = encode(piece)
        sizes = np.diff(np.flatnonzero(ids == end), prepend=-1)
        submit(_deal, ids, sizes, part_of[position : position + len(sizes)], writers)
        position += len(sizes)


def _write_answers(
    source: SplitCorpus,
    tokenizer: Tokenizer,
    unknown: Unknown,
    writers: list[_PartWriter],
    submit: Submit,
) -> None:
    """As `_write_documents`, with which tokens are of an answer."""
    template = source.corpus.origin.template
    assert template is not None
    end = tokenizer.encode_lines(source.corpus.document_end)
    for writer in writers:
        writer.write(end)
    pieces, part_of = source.documents()
    position = 0
    for piece in pieces:
        ids, answers = encode_answers(piece, tokenizer, unknown, template.special)
        sizes = np.diff(np.flatnonzero(ids == end), prepend=-1)
        submit(_deal, ids, sizes, part_of[position : position + len(sizes)], writers, answers)
        position += len(sizes)


def _deal(
    ids: Ids,
    sizes: NDArray[np.int64],
    part_of: NDArray[np.uint8],
    writers: list[_PartWriter],
    answers: NDArray[np.bool_] | None = None,
) -> None:
    """Writes whole documents, each to its part."""
    parts = np.repeat(part_of, sizes)
    for p, writer in enumerate(writers):
        own = parts == p
        writer.write(ids[own], None if answers is None else answers[own])


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
