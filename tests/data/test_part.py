"""Splits, parts, packed rows and batches: nothing lost, nothing twice."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.config import DataConfig
from hornbook.data.batches import IGNORE, Draw, build_batches
from hornbook.data.part import Part, Rows, split_corpus
from hornbook.data.text import read_corpus
from hornbook.errors import DataError
from hornbook.tokenizers import build_tokenizer

DOCUMENTS = st.lists(st.text("abc", min_size=1, max_size=20), min_size=1, max_size=40)


def part_of(documents: list[str]) -> Part:
    return Part.of_documents(documents, build_tokenizer("char", "abc", documents=True))


def test_seed_42_is_the_split_of_the_lectures(tmp_path: Path) -> None:
    words = [f"w{i}" for i in range(1003)]
    (tmp_path / "w.txt").write_text("\n".join(words))
    split = split_corpus(read_corpus(tmp_path / "w.txt"), DataConfig())
    random.seed(42)
    random.shuffle(words)
    n1, n2 = int(0.8 * len(words)), int(0.9 * len(words))
    assert list(split.train) == words[:n1]
    assert list(split.validation) == words[n1:n2]
    assert list(split.test) == words[n2:]


def test_a_stream_is_cut_by_position_and_every_symbol_predicted(tmp_path: Path) -> None:
    text = "".join(chr(97 + i % 26) for i in range(1000)) + "\n\n"
    (tmp_path / "t.txt").write_text(text)
    corpus = read_corpus(tmp_path / "t.txt", kind="stream")
    for kind in ("char", "byte"):
        tokenizer = build_tokenizer(kind, text, documents=False)
        split = split_corpus(corpus, DataConfig())
        assert split.train[0] + split.validation[0] == text
        train, val = split.part("train", tokenizer), split.part("val", tokenizer)
        assert val.n_targets == val.n_bytes == len(split.validation[0])
        assert train.n_targets == len(split.train[0]) - 1  # nothing stands before the first
        with pytest.raises(DataError, match="no such part"):
            split.part("test", tokenizer)


@pytest.mark.parametrize("kind", ["documents", "stream"])
@pytest.mark.parametrize("large", [False, True])
def test_without_validation_the_whole_text_is_trained_on_and_scored_again(
    kind: str, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(f"word{i % 90}\n" for i in range(200))
    (tmp_path / "t.txt").write_text(text)
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))
    if large:
        monkeypatch.setattr("hornbook.data.text.LARGE", 1)
    corpus = read_corpus(tmp_path / "t.txt", kind=kind)
    assert (corpus.large is not None) == large
    tokenizer = build_tokenizer("char", text, documents=kind == "documents")
    for fields in ({}, {"test": 0.0}, {"test": 0.2}):
        split = split_corpus(corpus, DataConfig(validation=0, **fields), tokenizer)
        n = 200 if kind == "documents" else len(text)
        train = round(n * (1 - fields.get("test", 0.0)))
        assert split.sizes == (train, train, n - train)
        assert not split.held_out
        assert split.validation == split.train
        ours, again = split.part("train", tokenizer), split.part("val", tokenizer)
        assert np.array_equal(ours.tokens, again.tokens)
        assert sum("says nothing of new text" in note for note in split.notes) == 1
        whole = "\n" if kind == "documents" else ""
        assert len(whole.join(split.everything)) >= len(text) - 1


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_documents_are_refused(n: int, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("\n".join(f"word{i}" for i in range(n)))
    with pytest.raises(DataError, match="too few to hold out"):
        split_corpus(read_corpus(tmp_path / "t.txt", kind="documents"), DataConfig())


@given(DOCUMENTS, st.integers(2, 24), st.integers(0, 3))
def test_rows_hold_every_target_once_and_no_document_is_cut_that_fits(
    documents: list[str], length: int, overlap: int
) -> None:
    overlap = min(overlap, length - 1)
    part = part_of(documents)
    chunks = part.chunks(length, overlap)
    rows = Rows(chunks, np.random.default_rng(0).permutation(len(chunks.start)), length)
    positions, scored = rows.positions(0, len(rows))
    assert positions.shape == scored.shape == (len(rows), length)
    assert sorted(positions[scored].tolist()) == list(range(part.n_targets))
    assert (positions[scored] >= 0).all()
    for row in positions:  # inside a row tokens of a document follow each other
        for before, after in itertools.pairwise(row):
            assert after in (-1, before + 1) or after in part.starts
    sizes = np.diff(part.starts)
    assert len(chunks.start) == sum(-(-int(s) // (length - overlap)) for s in sizes)
    # any one row equals that row among all
    one, one_scored = rows.positions(len(rows) - 1, len(rows))
    np.testing.assert_array_equal(one[0], positions[-1])
    np.testing.assert_array_equal(one_scored[0], scored[-1])


@settings(deadline=None)
@given(DOCUMENTS, st.integers(4, 24))
def test_an_epoch_of_sequences_predicts_every_token(documents: list[str], length: int) -> None:
    part = part_of(documents)
    batches = build_batches(part, "sequences", length, Draw(batch_size="all", seed=3))
    ids, targets = batches.batch(0)
    kept = targets != IGNORE
    assert kept.sum() == part.n_targets
    assert sorted(targets[kept].tolist()) == sorted(part.tokens[1:].tolist())
    assert ids.shape == targets.shape == (batches.items_per_epoch, length)


def test_windows_are_those_of_the_notes() -> None:
    tokenizer = build_tokenizer("char", "aemm", documents=True)
    part = Part.of_documents(["emma"], tokenizer)
    batches = build_batches(part, "windows", 3, Draw(batch_size="all", seed=0))
    ids, targets = batches.batch(0)
    shown = ["".join(map(tokenizer.symbol, row)) for row in ids.tolist()]
    assert shown == ["...", "..e", ".em", "emm", "mma"]
    assert "".join(map(tokenizer.symbol, targets.tolist())) == "emma."


@pytest.mark.parametrize("examples", ["sequences", "windows"])
@pytest.mark.parametrize("documents", [True, False])
@pytest.mark.parametrize("sampling", ["epochs", "random"])
def test_batches_are_functions_of_seed_step_and_rank(
    examples: str, documents: bool, sampling: str
) -> None:
    part = part_of(["abc" * (1 + i % 5) for i in range(60)])
    if not documents:
        part = Part(part.tokens, np.array([0, part.n_targets]), False, part.n_targets)

    def make(seed: int = 1, rank: int = 0, world: int = 1, size: int = 4) -> list[torch.Tensor]:
        draw = Draw(batch_size=size, seed=seed, sampling=sampling, rank=rank, world_size=world)  # type: ignore[arg-type]
        batches = build_batches(part, examples, 16, draw)  # type: ignore[arg-type]
        return [torch.cat([t.flatten() for t in batches.batch(step)]) for step in (9, 3, 40)]

    assert all(map(torch.equal, make(), make()))
    assert not all(map(torch.equal, make(), make(seed=2)))
    assert not all(map(torch.equal, make(rank=0, world=2), make(rank=1, world=2)))
    draw = Draw(batch_size=4, seed=1, sampling=sampling)  # type: ignore[arg-type]
    fresh = build_batches(part, examples, 16, draw)  # type: ignore[arg-type]
    ids, targets = fresh.batch(40)
    assert torch.equal(torch.cat([ids.flatten(), targets.flatten()]), make()[2])


def test_two_ranks_see_what_one_sees_with_twice_the_batch() -> None:
    part = part_of(["abc" * (1 + i % 5) for i in range(60)])
    both = build_batches(part, "windows", 4, Draw(batch_size=8, seed=5)).batch(2)[1]
    shares = [
        build_batches(part, "windows", 4, Draw(batch_size=4, seed=5, rank=r, world_size=2))
        for r in (0, 1)
    ]
    assert torch.equal(torch.cat([share.batch(2)[1] for share in shares]), both)


def test_epochs_of_a_stream_are_permutations_of_its_blocks() -> None:
    tokens = np.arange(101)
    part = Part(tokens, np.array([0, 100]), False, 100)
    batches = build_batches(part, "sequences", 10, Draw(batch_size=3, seed=2))
    starts = [int(row[0]) for step in range(3) for row in batches.batch(step)[0]]
    assert batches.items_per_epoch == 9
    assert len(set(starts)) == 9
    assert len({s % 10 for s in starts}) == 1  # one shift for the whole epoch
    later = {int(row[0]) % 10 for step in range(3, 30) for row in batches.batch(step)[0]}
    assert len(later) > 3


def test_bytes_are_those_of_the_symbols_that_are_predicted() -> None:
    tokenizer = build_tokenizer("char", "abcæ", documents=True)
    part = Part.of_documents(["aæ", "dac"], tokenizer, unknown="skip")
    assert part.n_bytes == 3 + 1 + 2 + 1  # d is skipped
    stream = build_tokenizer("char", "abcæ", documents=False)
    assert Part.of_stream("xæab", stream, unknown="skip").n_bytes == 2  # æ is read, ab predicted
    assert Part.of_stream("æb", stream, before="a").n_bytes == 3


def test_a_line_break_inside_a_document_is_refused() -> None:
    with pytest.raises(DataError, match=r"document 2 .*line break inside"):
        part_of(["ab", "a\nb"])
