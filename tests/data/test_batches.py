"""Batches: nothing lost, nothing twice, functions of seed, step and rank alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.config import DataConfig
from hornbook.data import batches as module
from hornbook.data.batches import IGNORE, Draw, MixedBatches, build_batches, resident, shared
from hornbook.data.corpus import read_corpus
from hornbook.data.part import Part
from hornbook.data.split import split_corpus
from hornbook.data.tuning import RESIDENT_TOKENS
from hornbook.tokenizers import build_tokenizer
from tests.data.texts import BOTTLES, FROM_FILE, NAMES, tokenizer_of

Write = Callable[[str, bytes | str], Path]
DOCUMENTS = st.lists(st.text("abc", min_size=1, max_size=20), min_size=1, max_size=40)


def part_of(documents: list[str]) -> Part:
    return Part.of_documents(documents, build_tokenizer("char", "abc", documents=True))


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
    contexts = ["".join(map(tokenizer.symbol, row)) for row in ids.tolist()]
    assert contexts == ["...", "..e", ".em", "emm", "mma"]
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


@pytest.mark.parametrize("examples", ["sequences", "windows"])
@pytest.mark.parametrize("size", [6, 7, "all"])
@pytest.mark.parametrize("world", [2, 3, 4])
def test_ranks_draw_together_what_one_draws(examples: str, size: object, world: int) -> None:
    part = part_of(["abc" * (1 + i % 5) for i in range(60)])

    def make(rank: int, world: int) -> list[torch.Tensor]:
        draw = Draw(batch_size=size, seed=5, rank=rank, world_size=world)  # type: ignore[arg-type]
        batches = build_batches(part, examples, 8, draw)  # type: ignore[arg-type]
        return [t for step in (0, 2, 19) for t in batches.batch(step)]

    shares = [make(rank, world) for rank in range(world)]
    for whole, *parts in zip(make(0, 1), *shares, strict=True):
        assert torch.equal(torch.cat(parts), whole)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_epochs_of_a_stream_are_permutations_of_its_blocks() -> None:
    part = Part(np.arange(101), np.array([0, 100]), False, 100)
    batches = build_batches(part, "sequences", 10, Draw(batch_size=3, seed=2))
    starts = [int(row[0]) for step in range(3) for row in batches.batch(step)[0]]
    assert batches.items_per_epoch == 9
    assert len(set(starts)) == 9
    assert len({s % 10 for s in starts}) == 1  # one shift for the whole epoch
    later = {int(row[0]) % 10 for step in range(3, 30) for row in batches.batch(step)[0]}
    assert len(later) > 3


@pytest.mark.parametrize("kind", ["documents", "stream"])
@pytest.mark.parametrize("tokens", ["char", "byte"])
@pytest.mark.parametrize("examples", ["sequences", "windows"])
def test_batches_do_not_depend_on_where_tokens_are(
    kind: str, tokens: str, examples: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("t.txt", "\n".join(NAMES) if kind == "documents" else BOTTLES)
    corpus = read_corpus(path, kind=kind, limits=FROM_FILE)
    tokenizer = tokenizer_of(corpus, tokens)
    part = split_corpus(corpus, DataConfig(), tokenizer).part("train", tokenizer)
    assert isinstance(part.tokens, np.memmap)
    draw = Draw(batch_size=4, seed=1)
    few = build_batches(part, examples, 8, draw).batch(3)  # type: ignore[arg-type]
    monkeypatch.setattr(module, "RESIDENT_TOKENS", 0)  # as if they were many
    many = build_batches(part, examples, 8, draw)  # type: ignore[arg-type]
    assert many.tokens.dtype == (torch.uint16 if part.tokens.itemsize == 2 else torch.uint8)
    for a, b in zip(few, many.batch(3), strict=True):
        assert a.dtype == b.dtype == torch.int64
        assert torch.equal(a, b)


def test_many_tokens_are_not_copied() -> None:
    tokens = np.zeros(RESIDENT_TOKENS + 1, dtype=np.uint8)
    on_device = resident(tokens, "cpu")
    assert on_device.data_ptr() == tokens.ctypes.data
    assert resident(tokens[1:], "cpu").dtype == torch.int64


@pytest.mark.parametrize("examples", ["sequences", "windows"])
@pytest.mark.parametrize("kind", ["documents", "stream"])
def test_an_epoch_of_several_passes_draws_everything_once(
    kind: str, examples: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ITEMS_PER_PASS", 20)
    monkeypatch.setattr(module, "DOCUMENTS_PER_PASS", 60)
    tokenizer = build_tokenizer("char", "\n".join(NAMES), documents=True)
    part = Part.of_documents(NAMES, tokenizer)
    part = Part(np.arange(len(part.tokens)), part.starts, True, part.n_bytes)  # by position
    if kind == "stream":
        part = Part(part.tokens, np.array([0, part.n_targets]), False, part.n_targets)
    rows = (kind, examples) == ("documents", "sequences")
    batches = build_batches(part, examples, 48 if rows else 12, Draw(batch_size=1, seed=4))  # type: ignore[arg-type]
    assert batches.passes > 2
    for epoch in range(2):
        drawn: list[int] = []
        for step in range(epoch * batches.items_per_epoch, (epoch + 1) * batches.items_per_epoch):
            targets = batches.batch(step)[1]
            drawn += targets[targets != IGNORE].tolist()
        missed = part.n_targets - len(set(drawn))
        if rows:  # rows are not equally full
            assert missed < 0.1 * part.n_targets
        elif examples == "windows":
            assert missed < batches.passes
        else:
            assert missed < 12 * batches.passes + 24
        if not rows:
            assert len(set(drawn)) == len(drawn)


def test_mixed_batches_are_rows_of_both_texts_whatever_was_drawn_before() -> None:
    first, second = part_of(["a", "ab", "aa", "ba"] * 9), part_of(["c", "cc"] * 20)
    own, other = shared(Draw(batch_size=8, seed=3), 0.25, 8)

    def build(rank: int = 0, world_size: int = 1) -> MixedBatches:
        parts = ((first, own), (second, other))
        draws = [(p, replace(d, rank=rank, world_size=world_size)) for p, d in parts]
        return MixedBatches(*(build_batches(p, "sequences", 6, draw) for p, draw in draws))

    mixed = build()
    batches = [mixed.batch(step) for step in range(20)]
    for step in (17, 3, 11):
        assert all(map(torch.equal, build().batch(step), batches[step]))
    unknown = build_tokenizer("char", "abc", documents=True).encode("c")[0]
    for ids, _ in batches:
        assert ids.shape == (8, 6)
        assert not (ids[:6] == unknown).any()
        assert not ((ids[6:] != unknown) & (ids[6:] != 0)).any()
    assert mixed.several(2, 3)[0].shape == (3, 8, 6)
    for world_size in (3, 8):  # of eight ranks each has one row, of one of the texts
        ranks = [build(rank, world_size).batch(5) for rank in range(world_size)]
        assert {len(ids) for ids, _ in ranks} <= {8 // world_size, -(-8 // world_size)}
        for i in (0, 1):
            assert torch.equal(torch.cat([rank[i] for rank in ranks]), batches[5][i])


@pytest.mark.parametrize(("share", "second"), [(0.01, 1), (0.5, 4), (0.99, 7)])
def test_both_texts_have_a_row_at_least(share: float, second: int) -> None:
    own, other = shared(Draw(batch_size=8, seed=3), share, 8)
    assert (own.batch_size, other.batch_size) == (8 - second, second)
