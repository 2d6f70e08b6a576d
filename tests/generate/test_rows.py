"""Rows that join and leave at any time have the logits that they have alone."""

from __future__ import annotations

import random

import pytest
import torch

from hornbook.generate.rows import Rows
from hornbook.models.base import Window
from tests.conftest import tiny_model

VOCAB = 12


@pytest.mark.parametrize("window", ["half", "sliding"])
@pytest.mark.parametrize("end_id", [0, None])
@torch.inference_mode()
def test_rows_have_the_logits_that_they_have_alone(
    model_name: str, end_id: int | None, window: Window
) -> None:
    model = tiny_model(model_name, VOCAB, end_id)
    rows, chance = Rows(model, window), random.Random(0)
    torch.manual_seed(1)
    states, alone, logits = [], [], torch.empty(0, VOCAB)
    for turn in range(60):
        new = [[0, *(chance.randrange(1, VOCAB) for _ in range(chance.randrange(20)))]
               for _ in range(chance.choice([0, 0, 1, 2, 3]) if turn else 3)]  # fmt: skip
        if new:
            logits = torch.cat([logits, rows.add(new)])
            for prompt in new:
                own, state = model.start(torch.tensor([prompt]), window)
                alone.append(own[0])
                states.append(state)
        torch.testing.assert_close(logits, torch.stack(alone).float(), atol=2e-5, rtol=1e-4)
        leaving = [i for i in range(rows.n) if chance.random() < 0.06 and rows.n > 1]
        if leaving and len(leaving) < rows.n:
            compaction = rows.remove(leaving)
            for kept in (states, alone):
                for hole, mover in zip(
                    compaction.holes.tolist(), compaction.movers.tolist(), strict=True
                ):
                    kept[hole] = kept[mover]
                del kept[compaction.n :]
        tokens = torch.randint(1, VOCAB, (rows.n,))
        logits = rows.step(tokens)
        alone = [model.step(t[None], s)[0] for t, s in zip(tokens, states, strict=True)]
        assert rows.n == len(alone)
        assert not rows.ragged or len(rows.batches) == 1


def test_the_last_row_may_leave_and_another_may_come() -> None:
    rows = Rows(tiny_model("gpt"))
    rows.add([[0], [0, 1]])
    rows.remove([0, 1])
    assert rows.n == 0
    assert rows.batches == []
    assert rows.add([[0, 3]]).shape == (1, VOCAB)
