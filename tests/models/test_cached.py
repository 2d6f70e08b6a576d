"""Rows continued token by token: the same logits as reading the whole row each time.

Of every model of the registry, by `start` and `step`.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hornbook.layers.cache import Compaction
from hornbook.models.base import LanguageModel, Window
from hornbook.models.cached import CachedModel
from hornbook.models.registry import build_model, model_config
from hornbook.models.rnn import RNN
from tests.conftest import tiny_model

VOCAB = 12


def rows(model: LanguageModel, n: int, length: int) -> Tensor:
    """Random rows of one document (or stream) each."""
    ids = torch.randint(1, VOCAB, (n, length))
    if model.end_id is not None:
        ids[:, 0] = model.end_id
    return ids


def same(found: Tensor, expected: Tensor) -> None:
    """Equal but for rounding, with the same most probable token."""
    exact = {"atol": 1e-11, "rtol": 1e-11} if found.dtype == torch.float64 else {}
    torch.testing.assert_close(found, expected, **exact)
    assert torch.equal(found.argmax(-1), expected.argmax(-1))


def double(name: str, end_id: int | None) -> LanguageModel:
    return tiny_model(name, VOCAB, end_id).double()


@pytest.mark.parametrize("end_id", [0, None])
@pytest.mark.parametrize("read", [1, 5])
@torch.inference_mode()
def test_steps_return_the_logits_of_the_whole_row(
    model_name: str, end_id: int | None, read: int
) -> None:
    model = double(model_name, end_id)
    ids = rows(model, 3, 16)
    given = ids[:, :read].clone()
    logits, state = model.start(given)
    same(logits, model.next_logits(ids[:, :read]))
    for t in range(read, 16):
        same(model.step(ids[:, t], state), model.next_logits(ids[:, : t + 1]))
    assert torch.equal(given, ids[:, :read])


@pytest.mark.parametrize("window", ["half", "sliding"])
@pytest.mark.parametrize("end_id", [0, None])
@torch.inference_mode()
def test_past_the_context_each_model_sees_what_it_promises(
    model_name: str, end_id: int | None, window: Window
) -> None:
    model = double(model_name, end_id)
    context = model.context_length
    ids = rows(model, 2, 4 * context + 3)
    logits, state = model.start(ids[:, :1], window)
    whole = model
    if isinstance(model, RNN):  # the same weights for a row of any length
        config = model_config({**model.config.model_dump(), "context_length": ids.shape[1]})
        whole = build_model(config, VOCAB, end_id).double().eval()
        whole.load_state_dict(model.state_dict())
    seen = 1
    for t in range(1, ids.shape[1]):
        logits = model.step(ids[:, t], state)
        if isinstance(model, RNN):
            seen = t + 1
        elif isinstance(model, CachedModel) and window == "half":
            seen = seen + 1 if seen < context else max(1, context // 2)
        else:
            seen = min(seen + 1, context)
        same(logits, whole.next_logits(ids[:, t + 1 - seen : t + 1]))


@torch.inference_mode()
def test_a_prompt_beyond_the_context_is_its_last_part(model_name: str) -> None:
    model = double(model_name, None)
    if isinstance(model, RNN):
        pytest.skip("reads all of it")
    ids = rows(model, 2, 3 * model.context_length + 1)
    logits, _ = model.start(ids)
    same(logits, model.next_logits(ids[:, -model.context_length :]))


@torch.inference_mode()
def test_a_mixture_of_networks_steps_each() -> None:
    parts = [
        {"name": "gpt", "n_layer": 1, "context_length": 8},
        {"name": "gru", "n_hidden": 8, "context_length": 8},
        {"name": "ngram", "order": 3},
    ]
    config = model_config({"name": "mixture", "components": parts, "weights": (0.5, 0.3, 0.2)})
    model = build_model(config, VOCAB, 0).eval()
    for parameter in model.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    ids = rows(model, 3, 8)
    _, state = model.start(ids[:, :1])
    for t in range(1, 8):
        same(model.step(ids[:, t], state), model.next_logits(ids[:, : t + 1]))


@torch.inference_mode()
def test_rows_that_leave_do_not_disturb_the_others(model_name: str) -> None:
    model = double(model_name, 0)
    context = model.context_length
    ids = rows(model, 40, 40)
    alive = torch.arange(40)
    _, state = model.start(ids[:, :1])
    generator = torch.Generator().manual_seed(1)
    for t in range(1, 40):
        compaction = Compaction.of(torch.rand(len(alive), generator=generator) < 0.93)
        state.compact(compaction)
        alive = compaction(alive)
        if not len(alive):
            break
        logits = model.step(ids[alive, t], state)
        if t < context or model.sliding:
            same(logits, model.next_logits(ids[alive, : t + 1][:, -max(context, 1) :]))
    assert len(alive) < 40


@torch.inference_mode()
def test_rows_are_selected(model_name: str) -> None:
    model = double(model_name, 0)
    ids = rows(model, 3, 12)
    _, state = model.start(ids[:1, :1])
    state.select(torch.tensor([0, 0, 0]))
    ids[1:, 0] = ids[0, 0]
    for t in range(1, 6):
        model.step(ids[:, t], state)
    order = torch.tensor([2, 0, 2, 1])
    state.select(order)
    ids = torch.cat([ids[order, :6], rows(model, 4, 5)[:, 1:]], dim=1)
    for t in range(6, 10):
        same(model.step(ids[:, t], state), model.next_logits(ids[:, : t + 1]))
