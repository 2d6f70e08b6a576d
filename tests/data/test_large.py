"""Texts too large for memory, with what counts as large lowered: the same as read whole."""

from __future__ import annotations

import errno
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hornbook
from hornbook.cli.data import statistics
from hornbook.config import DataConfig
from hornbook.data import batches, large, store, text
from hornbook.data.batches import Draw, build_batches
from hornbook.data.cache import cache_directory
from hornbook.data.part import Part
from hornbook.data.split import split_corpus
from hornbook.data.text import Corpus, read_corpus
from hornbook.errors import DataError
from hornbook.tokenizers import END, Tokenizer, build_tokenizer

Write = Callable[[str, bytes | str], Path]
MIXED = (
    HealthCheck.function_scoped_fixture
)  # the cache is shared: what it holds follows from the text


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def both(path: Path, chunk: int, **how: Any) -> tuple[Corpus | str, Corpus | str]:
    """A file read whole and in pieces, or what is told of it."""
    found: list[Corpus | str] = []
    for threshold in (1 << 40, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text, "LARGE", threshold)
            patch.setattr(large, "CHUNK", chunk)
            try:
                corpus = read_corpus(path, **how)
                if corpus.large is not None:
                    assert "".join(corpus.large.pieces()) or corpus.kind == "documents"
                found.append(corpus)
            except DataError as error:
                found.append(str(error))
    return found[0], found[1]


def parts(corpus: Corpus, tokenizer: Tokenizer, **how: Any) -> list[Part]:
    config = DataConfig(validation_tokens=0, **how)
    split = split_corpus(corpus, config, tokenizer)
    names = [n for n, size in zip(store.PARTS, split.sizes, strict=True) if size]
    return [split.part(name, tokenizer) for name in names]


def documents(part: Part, tokenizer: Tokenizer) -> list[str]:
    pieces = zip(part.starts[:-1], part.starts[1:], strict=True)
    return sorted(tokenizer.decode(part.tokens[a:b]) for a, b in pieces)


SYMBOLS = st.sampled_from([*"ab \n\r\t", "\r\n", "\n\n", "æ", "日", "😀", "\xa0", "\x85", "|", END])
TEXTS = st.lists(SYMBOLS, min_size=12, max_size=60).map("".join)


@settings(deadline=None, max_examples=60, suppress_health_check=[MIXED])
@given(
    content=TEXTS,
    chunk=st.integers(4, 23),
    kind=st.sampled_from(["documents", "stream"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]),
    tokens=st.sampled_from(["char", "byte"]),
)
def test_in_pieces_is_as_whole(
    content: str, chunk: int, kind: str, encoding: str, tokens: str, tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content.encode(encoding))
    told = "utf-8" if encoding == "utf-8-sig" else encoding
    whole, pieces = both(path, chunk, kind=kind, encoding=told)
    if isinstance(whole, str) or isinstance(pieces, str):
        assert whole == pieces
        return
    assert (whole.sha256, whole.n_bytes, whole.kind) == (
        pieces.sha256,
        pieces.n_bytes,
        pieces.kind,
    )
    assert pieces.notes[:-1] == whole.notes
    assert pieces.text == whole.text
    assert pieces.documents == whole.documents
    made = build_tokenizer(tokens, whole.text, documents=kind == "documents")
    again = build_tokenizer(tokens, pieces.symbols, documents=kind == "documents")
    assert again.to_json() == made.to_json()
    try:
        expected = parts(whole, made)
    except DataError as error:
        with pytest.raises(DataError, match=re.escape(str(error))):
            parts(pieces, made)
        return
    found = parts(pieces, made)
    assert len(found) == len(expected)
    for a, b in zip(expected, found, strict=True):
        assert b.tokens.dtype == a.tokens.dtype
        assert (b.n_bytes, b.documents) == (a.n_bytes, a.documents)
        if kind == "stream":
            np.testing.assert_array_equal(b.tokens, a.tokens)
            np.testing.assert_array_equal(b.starts, a.starts)
        else:
            assert documents(b, made) == documents(a, made)
            np.testing.assert_array_equal(b.starts, np.flatnonzero(b.tokens == made.end_id))


@settings(deadline=None, max_examples=60, suppress_health_check=[MIXED])
@given(raw=st.binary(min_size=1, max_size=30), before=TEXTS, chunk=st.integers(4, 9))
def test_wrong_bytes_are_told_alike(raw: bytes, before: str, chunk: int, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(before.encode() + raw)
    whole, pieces = both(path, chunk, kind="stream")
    if b"\0" in raw:  # a null byte is told first where the whole is at hand
        assert isinstance(whole, str)
        assert isinstance(pieces, str)
    elif isinstance(whole, str):
        assert pieces == whole
    else:
        assert isinstance(pieces, Corpus)


def test_the_mark_counts_in_the_offset(write: Write) -> None:
    path = write("t.txt", b"\xef\xbb\xbfemma\xff")
    for told in both(path, 5):
        assert "found byte 0xff at offset 7" in str(told)


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
    np.testing.assert_array_equal(store.assign((0, first, second, n), seed), expected)


NAMES = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in ("na", "ra", "lisa", "to")]
BOTTLES = "".join(f"{i} green bottles,\n\nhanging on the wæll. " for i in range(400))


@pytest.fixture
def lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "LARGE", 0)
    monkeypatch.setattr(large, "CHUNK", 300)
    for module in (large, store):
        monkeypatch.setattr(module, "EXCERPT", 400)


@pytest.mark.usefixtures("lowered")
def test_a_second_start_reads_nothing_and_a_changed_text_is_read_again(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("names.txt", "\n".join(NAMES))
    first = read_corpus(path, kind="documents")
    split_corpus(first, DataConfig())
    scans: list[Path] = []
    scan = large.scan
    monkeypatch.setattr(large, "scan", lambda *a: (scans.append(a[0]), scan(*a))[1])
    again = read_corpus(path, kind="documents")
    assert again.sha256 == first.sha256
    assert "an earlier run" in split_corpus(again, DataConfig()).notes[0]
    assert not scans
    os.utime(path, ns=(1, 1))  # touched, with the same content: looked through, not encoded again
    touched = read_corpus(path, kind="documents")
    assert len(scans) == 1
    assert "an earlier run" in split_corpus(touched, DataConfig()).notes[0]
    path.write_text("\n".join([*NAMES[:-1], "mona"]))
    changed = read_corpus(path, kind="documents")
    assert changed.sha256 != first.sha256
    assert "turned into tokens" in split_corpus(changed, DataConfig()).notes[0]


@pytest.mark.usefixtures("lowered")
@pytest.mark.parametrize("damage", ["cut", "zeros", "gone", "facts"])
def test_damaged_tokens_are_made_again(damage: str, write: Write) -> None:
    corpus = read_corpus(write("t.txt", BOTTLES), kind="stream")
    tokenizer = build_tokenizer("char", corpus.symbols, documents=False)
    part = split_corpus(corpus, DataConfig(), tokenizer).part("train", tokenizer)
    expected = np.array(part.tokens)  # the file behind the map is going to be damaged
    (folder,) = (cache_directory() / "tokens").iterdir()
    tokens = folder / "train.tokens"
    if damage == "cut":
        tokens.write_bytes(tokens.read_bytes()[:-100])
    elif damage == "zeros":  # as after a power cut
        tokens.write_bytes(bytes(tokens.stat().st_size))
    elif damage == "gone":
        tokens.unlink()
    else:
        (folder / "facts.json").write_text("{")
    split = split_corpus(corpus, DataConfig(), tokenizer)
    assert "what lay there was damaged" in split.notes[0]
    np.testing.assert_array_equal(split.part("train", tokenizer).tokens, expected)


@pytest.mark.usefixtures("lowered")
def test_a_full_disk_is_told_and_leaves_nothing(
    write: Write, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = read_corpus(write("t.txt", BOTTLES), kind="stream")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store, "_write_all", full)
    with pytest.raises(DataError, match=r"No space left on device.*make room.*HORNBOOK_CACHE"):
        split_corpus(corpus, DataConfig())
    assert not list((cache / "tokens").iterdir())


@pytest.mark.usefixtures("lowered")
def test_a_text_that_changes_while_it_is_read_is_refused(write: Write) -> None:
    path = write("t.txt", BOTTLES)
    corpus = read_corpus(path, kind="stream")
    path.write_text(BOTTLES + "more")
    with pytest.raises(DataError, match="has changed while it was read"):
        split_corpus(corpus, DataConfig())


@pytest.mark.usefixtures("lowered")
def test_a_line_too_long_for_a_document_is_told(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large, "LONGEST_LINE", 1000)
    with pytest.raises(DataError, match=r"a line of more than 1,000 characters.*--kind stream"):
        read_corpus(write("t.txt", "ab\n" + "ab" * 1000), kind="documents")


@pytest.mark.usefixtures("lowered")
@pytest.mark.parametrize("kind", ["documents", "stream"])
@pytest.mark.parametrize("model", ["gpt", "mlp", "ngram"])
def test_a_large_text_is_trained_on(
    kind: str, model: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("t.txt", "\n".join(NAMES) if kind == "documents" else BOTTLES)
    sizes: dict[str, Any] = {"model": {}, "data": {"kind": kind, "validation_tokens": 100}}
    if model == "gpt":
        sizes["model"] = {"n_layer": 1, "n_head": 2, "n_kv_head": 2, "n_embd": 16, "n_hidden": 24}
    if model != "ngram":
        sizes["training"] = {"steps": 2, "batch_size": 4, "eval_count": 1, "sample_count": 1}
    out = tmp_path / "run"
    run = hornbook.train(str(path), model=model, precision="fp32", settings=sizes, out=out)
    assert 50 < run.report["validation"]["tokens"] < 150
    assert "by an excerpt of the training part" in run.report["novelty"]["verdict"]
    assert run.evaluate("val").nats == pytest.approx(run.report["validation"]["nats"])
    other = write("other.txt", "\n".join(NAMES[:50]) if kind == "documents" else BOTTLES[:2000])
    whole = run.evaluate(corpus=other)
    monkeypatch.setattr(text, "LARGE", 1 << 40)
    assert run.evaluate(corpus=other).nats == pytest.approx(whole.nats, rel=1e-5)
    assert run.evaluate(corpus=other).tokens == whole.tokens


@pytest.mark.usefixtures("lowered")
def test_figures_of_a_large_text_say_what_they_are_of(write: Write) -> None:
    facts = statistics(read_corpus(write("t.txt", BOTTLES), kind="stream"))
    assert facts["characters"] == len(BOTTLES)
    assert facts["symbols"] == len(set(BOTTLES))
    assert facts["excerpt"] == 400
    assert "of the first 400 characters" in facts["notes"][-1]


@pytest.mark.usefixtures("lowered")
@pytest.mark.parametrize("kind", ["documents", "stream"])
@pytest.mark.parametrize("tokens", ["char", "byte"])
def test_batches_of_memory_maps_are_those_of_arrays(kind: str, tokens: str, write: Write) -> None:
    content = "\n".join(NAMES) if kind == "documents" else BOTTLES
    corpus = read_corpus(write("t.txt", content), kind=kind)
    tokenizer = build_tokenizer(tokens, corpus.symbols, documents=kind == "documents")
    mapped = split_corpus(corpus, DataConfig(), tokenizer).part("train", tokenizer)
    assert isinstance(mapped.tokens, np.memmap)
    held = Part(np.array(mapped.tokens), np.array(mapped.starts), mapped.documents, mapped.n_bytes)
    for examples in ("sequences", "windows"):
        draw = Draw(batch_size=4, seed=1)
        a, b = (build_batches(p, examples, 8, draw).batch(3) for p in (mapped, held))  # type: ignore[arg-type]
        assert a[0].dtype == torch.int64
        assert all(map(torch.equal, a, b))


@pytest.mark.parametrize("examples", ["sequences", "windows"])
@pytest.mark.parametrize("kind", ["documents", "stream"])
def test_an_epoch_of_several_passes_sees_everything_once(
    kind: str, examples: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PASS", 20)
    monkeypatch.setattr(batches, "PACKED", 60)
    tokenizer = build_tokenizer("char", "\n".join(NAMES), documents=True)
    part = Part.of_documents(NAMES, tokenizer)
    part = Part(np.arange(len(part.tokens)), part.starts, True, part.n_bytes)  # known by its place
    if kind == "stream":
        part = Part(part.tokens, np.array([0, part.n_targets]), False, part.n_targets)
    rows = (kind, examples) == ("documents", "sequences")
    made = build_batches(part, examples, 48 if rows else 12, Draw(batch_size=1, seed=4))  # type: ignore[arg-type]
    assert made.passes > 2
    for epoch in range(2):
        seen: list[int] = []
        for step in range(epoch * made.items_per_epoch, (epoch + 1) * made.items_per_epoch):
            targets = made.batch(step)[1]
            seen += targets[targets != batches.IGNORE].tolist()
        missed = part.n_targets - len(set(seen))
        if rows:  # rows are not equally full
            assert missed < 0.1 * part.n_targets
        elif examples == "windows":
            assert missed < made.passes
        else:
            assert missed < 12 * made.passes + 24
        if not rows:
            assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("kind", ["documents", "stream"])
def test_a_spread_part_predicts_what_the_whole_predicts(kind: str) -> None:
    documents = kind == "documents"
    content = "\n".join(NAMES) if documents else BOTTLES
    tokenizer = build_tokenizer("char", content, documents=documents)
    part = Part.of_documents(NAMES, tokenizer) if documents else Part.of_stream(BOTTLES, tokenizer)
    for limit in (200, 600):
        some = part.spread(limit, tokenizer)
        assert 0.5 * limit < some.n_targets < 1.5 * limit
        assert some.n_bytes == len(tokenizer.decode_bytes(some.tokens[1:])) + documents * len(
            some.starts[1:]
        )
        for a, b in zip(some.starts[:-1].tolist(), some.starts[1:].tolist(), strict=True):
            assert tokenizer.decode(some.tokens[a : b + 1]) in (NAMES if documents else BOTTLES)
    assert part.spread(0, tokenizer) is part.spread(10**9, tokenizer) is part
