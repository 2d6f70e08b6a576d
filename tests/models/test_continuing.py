"""Rows continued token by token: the same logits as reading the whole row each time."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.layers import linear
from hornbook.layers.cache import KVCache, Moves, attend_last
from hornbook.layers.linear import Linear
from hornbook.models.base import LanguageModel
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
def test_steps_give_the_logits_of_the_whole_row(
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


@pytest.mark.parametrize("end_id", [0, None])
@torch.inference_mode()
def test_past_the_context_each_model_sees_what_it_says(model_name: str, end_id: int | None) -> None:
    model = double(model_name, end_id)
    context = model.context_length
    ids = rows(model, 2, 4 * context + 3)
    logits, state = model.start(ids[:, :1])
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
        elif isinstance(model, CachedModel):
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
        moves = Moves.of(torch.rand(len(alive), generator=generator) < 0.93)
        state.keep(moves)
        alive = moves(alive)
        if not len(alive):
            break
        logits = model.step(ids[alive, t], state)
        if t < context or model.sliding:
            same(logits, model.next_logits(ids[alive, : t + 1][:, -max(context, 1) :]))
    assert len(alive) < 40


@torch.inference_mode()
def test_rows_branch(model_name: str) -> None:
    model = double(model_name, 0)
    ids = rows(model, 3, 12)
    _, state = model.start(ids[:1, :1])
    state.branch(torch.tensor([0, 0, 0]))
    ids[1:, 0] = ids[0, 0]
    for t in range(1, 6):
        model.step(ids[:, t], state)
    order = torch.tensor([2, 0, 2, 1])
    state.branch(order)
    ids = torch.cat([ids[order, :6], rows(model, 4, 5)[:, 1:]], dim=1)
    for t in range(6, 10):
        same(model.step(ids[:, t], state), model.next_logits(ids[:, : t + 1]))


def test_moves_keep_exactly_the_rows_that_go_on() -> None:
    generator = torch.Generator().manual_seed(0)
    for n in range(12):
        going = torch.rand(n, generator=generator) < 0.6
        kept = Moves.of(going)(torch.arange(n))
        assert sorted(kept.tolist()) == going.nonzero()[:, 0].tolist()
        first = int(going.sum())  # those that already stand among the first stay where they are
        stay = going[:first]
        assert torch.equal(kept[stay], torch.arange(n)[:first][stay])


@pytest.mark.parametrize("length", [1, 3, 30, 200])  # short and long take different ways
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_attention_of_the_last_place_is_torchs(length: int, groups: int) -> None:
    q = torch.randn(5, 4, 1, 16, dtype=torch.float64)
    k, v = torch.randn(2, 5, groups, length, 16, dtype=torch.float64)
    weights = (q @ k.repeat_interleave(4 // groups, 1).mT / 4).softmax(-1)
    expected = weights @ v.repeat_interleave(4 // groups, 1)
    found = attend_last(q, k.permute(2, 0, 1, 3), v.permute(2, 0, 1, 3))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_a_cache_grows() -> None:
    cache = KVCache()
    k, v = torch.randn(2, 3, 2, 40, 4)
    cache.attend(k[:, :, :5], k[:, :, :5], v[:, :, :5])
    for t in range(5, 40):
        found = cache.attend(k[:, :, t : t + 1], k[:, :, t : t + 1], v[:, :, t : t + 1])
    torch.testing.assert_close(found, F.scaled_dot_product_attention(k, k, v)[:, :, -1:])
    assert cache.length == 40


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("wide", [16, 1024])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("pays", [True, False])
def test_one_row_through_a_linear_layer_is_the_same_on_several_threads(
    bias: bool, wide: int, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "WIDE", wide)
    monkeypatch.setattr(linear, "pieces_pay", lambda *_, **__: pays)
    layer = Linear(24, 30, bias=bias)
    plain = nn.Linear(24, 30, bias=bias)
    plain.load_state_dict(layer.state_dict())
    with torch.no_grad():
        for shape in ((24,), (1, 24), (1, 1, 24), (3, 24), (0, 24)):
            x = torch.randn(shape)
            torch.testing.assert_close(layer(x), plain(x))
        with pytest.raises(RuntimeError, match="shapes"):
            layer(torch.randn(2, 12))


@pytest.mark.parametrize("plain", [True, False])
def test_nothing_is_measured_where_it_is_to_be_plain_or_deterministic(
    plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "pieces_pay", lambda *_, **__: pytest.fail("measured"))
    model = tiny_model("gpt2")
    model.compute_plainly(plain)
    torch.use_deterministic_algorithms(not plain)
    try:
        with torch.no_grad():
            model.eval()(torch.ones(1, 1, dtype=torch.long))
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("slower", ["in_pieces", "whole"])
def test_the_faster_way_to_one_row_is_measured_once(
    slower: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def taking(name: str) -> None:
        made.append(name)
        time.sleep(0.002 if name == slower else 0.0)

    monkeypatch.setattr(linear, "in_pieces", lambda *_: taking("in_pieces"))
    monkeypatch.setattr(linear.F, "linear", lambda *_: taking("whole"))
    linear.pieces_pay.cache_clear()
    try:
        found = [linear.pieces_pay(2, wide=False) for _ in range(2)]
    finally:
        linear.pieces_pay.cache_clear()
    assert found == [slower == "whole"] * 2
    assert len(made) == 2 * linear.TIMES
