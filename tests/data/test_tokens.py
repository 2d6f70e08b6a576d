"""Tokens are written once, to the same result for texts of every size."""

from __future__ import annotations

import itertools
import random
import re
import shutil
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hornbook.config import DataConfig
from hornbook.data.cache import CacheError
from hornbook.data.corpus import read_corpus
from hornbook.data.limits import Limits
from hornbook.data.part import Part
from hornbook.data.split import Split, split_corpus
from hornbook.data.tokens import PARTS, assign
from hornbook.errors import DataError
from hornbook.tokenizers import Tokenizer, build_tokenizer
from tests.data.texts import BOTTLES, FROM_FILE, FROM_MEMORY, NAMES, TEXTS, tokenizer_of

Write = Callable[[str, bytes | str], Path]
SHARED = HealthCheck.function_scoped_fixture  # what the cache holds follows from the text


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def split_of(
    path: Path, kind: str, limits: Limits, tokens: str = "char"
) -> tuple[Split, Tokenizer]:
    corpus = read_corpus(path, kind=kind, limits=limits)
    tokenizer = tokenizer_of(corpus, tokens)
    return split_corpus(corpus, DataConfig(validation_tokens=0), tokenizer), tokenizer


def documents_of(part: Part) -> list[bytes]:
    return sorted(part.tokens[a:b].tobytes() for a, b in itertools.pairwise(part.starts))


def same(part: Part, expected: Part) -> None:
    assert part.tokens.dtype == expected.tokens.dtype
    np.testing.assert_array_equal(part.tokens, expected.tokens)
    np.testing.assert_array_equal(part.starts, expected.starts)
    assert (part.documents, part.n_bytes) == (expected.documents, expected.n_bytes)


@settings(deadline=None, max_examples=60, suppress_health_check=[SHARED])
@given(
    content=TEXTS,
    chunk=st.integers(4, 23),
    kind=st.sampled_from(["documents", "stream"]),
    tokens=st.sampled_from(["char", "byte"]),
)
def test_every_size_of_text_becomes_the_tokens_of_its_parts(
    content: str, chunk: int, kind: str, tokens: str, tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content.encode())
    try:
        held, tokenizer = split_of(path, kind, Limits(chunk=chunk), tokens)
    except DataError as error:
        with pytest.raises(DataError, match=re.escape(str(error))):
            split_of(path, kind, Limits(chunk=chunk, in_memory=0), tokens)
        return
    read_again, _ = split_of(path, kind, Limits(chunk=chunk, in_memory=0), tokens)
    for i, name in enumerate(PARTS):
        texts = (held.train, held.validation, held.test)[i]
        if not texts:
            continue
        if kind == "documents":
            expected = Part.of_documents(texts, tokenizer)
        elif len(texts[0]) + i < 2:
            continue
        else:
            expected = Part.of_stream(texts[0], tokenizer, before=held.before[i])
        same(held.part(name, tokenizer), expected)
        other = read_again.part(name, tokenizer)
        if kind == "stream":
            same(other, expected)
        else:  # in the order of the file
            assert documents_of(other) == documents_of(expected)
            assert other.n_bytes == expected.n_bytes
            np.testing.assert_array_equal(
                other.starts, np.flatnonzero(other.tokens == tokenizer.end_id)
            )


@given(st.integers(3, 300), st.integers(0, 5), st.data())
def test_documents_are_dealt_out_as_the_shuffle_does(
    n: int, seed: int, data: st.DataObject
) -> None:
    second = data.draw(st.integers(2, n))
    first = data.draw(st.integers(1, second - 1))
    order = list(range(n))
    random.Random(seed).shuffle(order)
    expected = np.zeros(n)
    expected[order[first:second]], expected[order[second:]] = 1, 2
    np.testing.assert_array_equal(assign((0, first, second, n), seed), expected)
    np.testing.assert_array_equal(assign((0, n, n, n), None), np.zeros(n))


@pytest.mark.parametrize("kind", ["documents", "stream"])
@pytest.mark.parametrize("limits", [FROM_MEMORY, FROM_FILE])
def test_they_are_mapped_and_by_the_next_start_not_written_again(
    limits: Limits, kind: str, write: Write, cache: Path
) -> None:
    path = write("names.txt", "\n".join(NAMES))
    split, tokenizer = split_of(path, kind, limits)
    part = split.part("train", tokenizer)
    assert part.tokens is split.part("train", tokenizer).tokens
    assert isinstance(part.tokens, np.memmap)
    (folder,) = (cache / "tokens").iterdir()
    written = (folder / "facts.json").stat().st_mtime_ns
    again, tokenizer = split_of(path, kind, limits)
    same(again.part("train", tokenizer), part)
    again.part("train", tokenizer, unknown="skip")  # nothing is unknown: the same tokens
    assert (folder / "facts.json").stat().st_mtime_ns == written
    path.write_text("\n".join([*NAMES[:-1], "monika"]))
    changed, _ = split_of(path, kind, limits)
    assert len(list((cache / "tokens").iterdir())) == 2
    if split.in_memory:
        assert split.notes == again.notes == changed.notes == ()
    else:
        assert "turned into tokens" in split.notes[0]
        assert "written by an earlier run" in again.notes[0]
        assert "turned into tokens" in changed.notes[0]


def test_the_cache_may_be_deleted_while_its_tokens_are_in_use(write: Write, cache: Path) -> None:
    path = write("t.txt", BOTTLES)
    split, tokenizer = split_of(path, "stream", FROM_MEMORY)
    try:
        shutil.rmtree(cache)
    except OSError:
        pytest.skip("this system does not delete a file that is mapped")
    expected = Part.of_stream(split.train[0], tokenizer)
    same(split.part("train", tokenizer), expected)
    again, _ = split_of(path, "stream", FROM_MEMORY)
    same(again.part("train", tokenizer), expected)


@pytest.mark.parametrize("limits", [FROM_MEMORY, FROM_FILE])
@pytest.mark.parametrize("damage", ["cut", "zeros", "gone", "facts", "count"])
def test_damaged_tokens_are_made_again(
    damage: str, limits: Limits, write: Write, cache: Path
) -> None:
    path = write("t.txt", BOTTLES)
    split, tokenizer = split_of(path, "stream", limits)
    expected = np.array(split.part("train", tokenizer).tokens)  # its file is going to be damaged
    (folder,) = (cache / "tokens").iterdir()
    tokens = folder / "train.tokens"
    if damage == "cut":
        tokens.write_bytes(tokens.read_bytes()[:-100])
    elif damage == "zeros":  # as after a power cut
        tokens.write_bytes(bytes(tokens.stat().st_size))
    elif damage == "gone":
        tokens.unlink()
    elif damage == "count":
        facts = (folder / "facts.json").read_text()
        (folder / "facts.json").write_text(facts.replace('"tokens": ', '"n": '))
    else:
        (folder / "facts.json").write_text("{")
    split, tokenizer = split_of(path, "stream", limits)
    np.testing.assert_array_equal(split.part("train", tokenizer).tokens, expected)
    assert "what was there was damaged" in split.notes[0]
    assert list((cache / "tokens").iterdir()) == [folder]


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow beyond 1,000 bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_named_and_leaves_nothing(write: Write, cache: Path) -> None:
    corpus = read_corpus(write("t.txt", BOTTLES), kind="stream", limits=FROM_FILE)
    expected = pytest.raises(CacheError, match=r"File too large.*free some space.*HORNBOOK_CACHE")
    with expected, full_disk():
        split_corpus(corpus, DataConfig(), tokenizer_of(corpus))
    assert not list(cache.glob("tokens/*"))


@pytest.mark.parametrize("reason", ["File too large", "Not a directory"])
def test_where_the_cache_cannot_be_written_a_text_in_memory_does_without(
    reason: str, write: Write, cache: Path
) -> None:
    path = write("t.txt", BOTTLES)
    if reason == "Not a directory":
        cache.write_text("no folder")
    with full_disk() if reason == "File too large" else nullcontext():
        split, tokenizer = split_of(path, "stream", FROM_MEMORY)
        same(split.part("train", tokenizer), Part.of_stream(split.train[0], tokenizer))
    (note,) = split.notes
    assert note.startswith("tokens in memory, not in the cache: ")
    assert reason in note


def test_a_process_killed_while_it_writes_leaves_nothing_that_is_read(
    write: Write, cache: Path
) -> None:
    path = write("t.txt", BOTTLES)
    program = f"""
import os, signal
from pathlib import Path
from hornbook.config import DataConfig
from hornbook.data import tokens
from hornbook.data.corpus import read_corpus
from hornbook.data.split import split_corpus
from tests.data.texts import FROM_FILE, tokenizer_of
corpus = read_corpus(Path({str(path)!r}), kind="stream", limits=FROM_FILE)
tokens.fingerprint = lambda _: os.kill(os.getpid(), signal.SIGKILL)
split_corpus(corpus, DataConfig(), tokenizer_of(corpus))
"""
    root = Path(__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", program], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = (cache / "tokens").iterdir()
    assert left.name.endswith(".partial")
    split, tokenizer = split_of(path, "stream", FROM_FILE)
    expected, _ = split_of(path, "stream", FROM_MEMORY)
    same(split.part("train", tokenizer), expected.part("train", tokenizer))


def test_unknown_characters_are_named_or_skipped_in_every_way(write: Write) -> None:
    path = write("t.txt", "\n".join([*NAMES, "zoë"]))
    tokenizer = build_tokenizer("char", "".join(NAMES) + "z", documents=True)
    parts = []
    for limits in (FROM_MEMORY, FROM_FILE):
        corpus = read_corpus(path, kind="documents", limits=limits)
        with pytest.raises(DataError, match=r"'ë' \(U\+00EB\).*--unknown skip"):
            Split.whole(corpus, tokenizer)
        split = Split.whole(corpus, tokenizer, unknown="skip")
        parts.append(split.part("train", tokenizer, unknown="skip"))
    same(parts[0], Part.of_documents([*NAMES, "zo"], tokenizer))  # in the order of the file
    same(parts[1], parts[0])


@pytest.mark.parametrize("kind", ["documents", "stream"])
def test_memory_does_not_grow_with_a_text_that_is_not_held(kind: str, write: Write) -> None:
    limits = Limits(in_memory=0, excerpt=1 << 12, chunk=1 << 14)
    peaks = []
    for n in (20_000, 200_000):
        lines = "".join(f"name number {i}\n" for i in range(n))
        path = write(f"{n}.txt", lines)
        size = len(lines)
        del lines
        tracemalloc.start()
        split_of(path, kind, limits)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    most = 8 * 180_000 if kind == "documents" else 0  # bytes a document while they are dealt out
    assert peaks[1] - peaks[0] < most + 200_000
    assert peaks[1] < size
