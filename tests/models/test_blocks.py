"""Which block of a stream a row is from, and that its own text helps no row."""

from __future__ import annotations

import numpy as np
import torch

from hornbook.layers.counts import find_contexts
from hornbook.models.blocks import BLOCKS, BlockCounts, find_blocks
from hornbook.models.kneser_ney import KneserNey
from hornbook.models.registry import model_config

V, N, ORDER = 20, 2000, 5


def fitted(tokens: torch.Tensor, starts: list[int]) -> KneserNey:
    model = KneserNey(model_config({"name": "hybrid", "order": ORDER}), ORDER, V, None)
    model.fit(tokens, torch.tensor(starts))
    return model


def contexts_of(model: KneserNey, ids: torch.Tensor) -> list[torch.Tensor]:
    keys = [model.get_buffer(f"keys_{length}") for length in range(ORDER)]
    return list(find_contexts(ids, keys, V, None))


def test_the_blocks_of_rows_from_the_text_are_found() -> None:
    tokens = torch.from_numpy(np.random.default_rng(1).integers(0, V, N + 1))
    model = fitted(tokens, [0, N])
    begins = torch.tensor([0, 150, 777, N - 60])
    steps = torch.arange(60)
    ids = tokens[begins[:, None] + steps]
    found = find_blocks(model.block_counts, contexts_of(model, ids), N)
    assert torch.equal(found, (begins[:, None] + steps) * BLOCKS // N)


def test_an_unknown_row_has_some_block() -> None:
    model = fitted(torch.zeros(N + 1, dtype=torch.int64), [0, N])
    ids = torch.full((2, 9), 3)
    found = find_blocks(model.block_counts, contexts_of(model, ids), N)
    assert ((found >= 0) & (found < BLOCKS)).all()


def test_a_passage_that_comes_again_nearby_is_not_known_in_training() -> None:
    """In its own block a passage of 10 tokens stands five times, and nowhere else."""
    rng = np.random.default_rng(3)
    text = rng.integers(0, V - 1, N + 1)
    for at in range(210, 260, 10):
        text[at : at + 10] = np.arange(10)
    tokens = torch.from_numpy(text)
    model = fitted(tokens, [0, N])
    ids, targets = tokens[None, 200:280], tokens[None, 201:281]
    later = slice(30, 49)
    trained, as_new = (
        logits[0, later].gather(-1, targets[0, later, None]).exp().mean()
        for logits in (model.training_logits(ids, targets), model(ids))
    )
    assert as_new > 0.7
    assert trained < 0.2


def test_stretches_of_a_large_text_are_counted_by_themselves() -> None:
    """No context reaches from one unit into the one before it."""
    tokens = torch.from_numpy(np.random.default_rng(1).integers(0, V, N + 1))
    model = fitted(tokens, [0, N // 2, N])
    counts: BlockCounts = model.block_counts[ORDER - 1]
    assert counts.block_total.sum() == N - 2 * (ORDER - 2)
