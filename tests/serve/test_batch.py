"""One tick of a batch: a token for each member, and who leaves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hornbook.api import Run

pytest.importorskip("fastapi", reason="needs the extra serve")


@torch.inference_mode()
def test_members_join_leave_and_are_cancelled(names_run: Run) -> None:
    from hornbook.serve.batch import Batch
    from hornbook.serve.choice import Choice, Options

    batch = Batch(names_run.model, "half")

    def member(i: int, most: int) -> Any:
        options = Options(max_tokens=most, bias={0: -100.0})
        choice = Choice(i, [0], names_run.tokenizer, options, key=i + 1)
        return SimpleNamespace(cancelled=False), choice

    first, second, third = member(0, 3), member(1, 5), member(2, 9)
    assert batch.tick(0.0, [first, second]) == []
    assert batch.tick(0.0, [third]) == []
    batch.tick(0.0)
    ((_, choice, piece),) = batch.tick(0.0)
    assert (choice, piece.finish, len(choice.tokens)) == (first[1], "length", 3)
    assert [len(c.tokens) for _, c in batch.members] == [2, 3]
    third[0].cancelled = True
    batch.tick(0.0)
    assert [c for _, c in batch.members] == [second[1]]
    assert [c.index for _, c, _ in batch.tick(0.0)] == [1]
    assert batch.members == []
    assert batch.tick(0.0) == []


def test_a_prompt_of_ids_is_read_from_its_last_document_on(names_run: Run) -> None:
    from hornbook.serve.batch import _last_document

    model = names_run.model
    assert _last_document(model, [0, 1, 0, 2, 3]) == [0, 2, 3]
    assert _last_document(model, [0, 1, 2]) == [0, 1, 2]
    assert _last_document(model, [1, 2, 0]) == [0]


@torch.inference_mode()
def test_a_short_prompt_is_read_in_the_steps_of_the_others(names_run: Run) -> None:
    from hornbook.serve.batch import Batch
    from hornbook.serve.choice import Choice, Options

    batch = Batch(names_run.model, "half")
    short, long = [0, 5, 13], [0, *range(1, 6)]
    for i, prompt in enumerate(([0], short, long)):
        options = Options(max_tokens=4, bias={0: -100.0}, alternatives=1)
        choice = Choice(i, prompt, names_run.tokenizer, options, key=i + 1)
        assert batch.tick(0.0, [(SimpleNamespace(cancelled=False), choice)]) == []  # type: ignore[list-item]
        if i == 1:
            assert choice.unread == [13, 5]
        else:
            assert choice.unread == []
    choices = [choice for _, choice in batch.members]
    while batch.members:
        batch.tick(0.0)
    for choice in choices:
        assert len(choice.tokens) == 4
        ids = torch.tensor([[*choice.prompt, *choice.tokens[:-1]]])
        for entry, logits in zip(choice.logprobs, names_run.model(ids)[0, -4:], strict=True):
            assert entry.logprob == pytest.approx(
                float(logits.log_softmax(-1)[entry.token]), abs=1e-4
            )
