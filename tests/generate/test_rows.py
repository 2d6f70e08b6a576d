"""Rows that join and leave at any time have the logits that they have alone."""

from __future__ import annotations

import random

import pytest
import torch

from hornbook.generate.rows import Rows
from hornbook.models.base import DecodingState, Window
from tests.conftest import tiny_model

VOCAB = 12


@pytest.mark.parametrize(("end_id", "window"), [(0, "half"), (None, "sliding")])
@torch.inference_mode()
def test_rows_have_the_logits_that_they_have_alone(
    model_name: str, end_id: int | None, window: Window
) -> None:
    model = tiny_model(model_name, VOCAB, end_id)
    rows, chance = Rows(model, window), random.Random(0)
    torch.manual_seed(1)
    states: list[DecodingState] = []
    alone: list[torch.Tensor] = []
    for turn in range(24):
        tokens = torch.randint(1, VOCAB, (rows.n,))
        alone = [model.step(t[None], s)[0] for t, s in zip(tokens, states, strict=True)]
        count = chance.choice([0, 0, 1, 2, 3]) if turn else 3
        lengths = [chance.choice([0, chance.randrange(20)]) for _ in range(count)]
        new = [[0, *(chance.randrange(1, VOCAB) for _ in range(n))] for n in lengths]
        logits = rows.step(tokens, new)
        for prompt in new:
            own, state = model.start(torch.tensor([prompt]), window)
            alone.append(own[0])
            states.append(state)
        torch.testing.assert_close(logits, torch.stack(alone).float(), atol=2e-5, rtol=1e-4)
        assert not rows.ragged or len(rows.batches) == 1
        leaving = [i for i in range(rows.n) if chance.random() < 0.15]
        if leaving and len(leaving) < rows.n:
            compaction = rows.remove(leaving)
            moves = zip(compaction.holes.tolist(), compaction.movers.tolist(), strict=True)
            for hole, mover in moves:
                states[hole] = states[mover]
            del states[compaction.n :]
        assert rows.n == len(states)


def test_the_last_row_may_leave_and_another_may_come() -> None:
    rows, none = Rows(tiny_model("gpt")), torch.empty(0, dtype=torch.int64)
    rows.step(none, [[0], [0, 1]])
    rows.remove([0, 1])
    assert rows.n == 0
    assert rows.batches == []
    assert rows.step(none, [[0, 3]]).shape == (1, VOCAB)


def test_a_row_that_is_joined_keeps_what_it_has_read() -> None:
    model, none = tiny_model("gpt2"), torch.empty(0, dtype=torch.int64)
    rows = Rows(model)
    rows.step(none, [[0, 1, 2]])
    assert type(rows.batches[0].state) is DecodingState
    logits = rows.step(torch.tensor([3]), [[0]])
    expected = model.next_logits(torch.tensor([[0, 1, 2, 3]]))
    torch.testing.assert_close(logits[:1], expected)
    rows.remove([1])
    logits = rows.step(torch.tensor([4]))  # alone again
    torch.testing.assert_close(logits, model.next_logits(torch.tensor([[0, 1, 2, 3, 4]])))
