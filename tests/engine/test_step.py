"""One optimizer step: the loop of the textbook, averaged weights, and its state."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from hornbook.config import Nested
from hornbook.engine.step import NotFiniteError, OptimizerStep
from hornbook.errors import RunError
from hornbook.metrics.loss import batch_loss
from hornbook.optim import build_optimizer
from hornbook.optim.schedules import learning_rate
from tests.engine.small import GPT, MLP, parts_of, step_of


@pytest.mark.parametrize("name", ["adamw", "muon", "sgd"])
@pytest.mark.parametrize("clip", [0.0, 0.3])
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_a_step_is_that_of_the_textbook(name: str, clip: float, l2: float) -> None:
    settings = {"optim": {"name": name, "grad_clip": clip, "l2": l2}}
    step = step_of(GPT, settings)
    model, batches, config = parts_of(GPT, settings)
    optimizer = build_optimizer(model, config.optim, model.output)
    losses = []
    for i in range(6):
        loss = batch_loss(model, *batches.batch(i))
        loss = loss + l2 * sum(p.square().mean() for p in model.parameters() if p.ndim > 1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip or math.inf)
        for group in optimizer.param_groups:
            rate = learning_rate(config.optim, i, config.training.steps)
            group["lr"] = rate * group.get("scale", 1.0)
        optimizer.step()
        found = step(i)
        torch.testing.assert_close(found, (loss.detach(), norm))
        losses.append(loss.item())
    for ours, theirs in zip(step.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert losses[-1] < losses[0]


def test_the_learning_rate_of_a_step_may_come_from_elsewhere() -> None:
    muon: Nested = {"optim": {"name": "muon", "muon_learning_rate": 0.03}}
    step = step_of(GPT, muon, learning_rate=lambda i: 0.5 * i)
    before = [p.detach().clone() for p in step.parameters]
    step(0)
    assert all(torch.equal(p, b) for p, b in zip(step.parameters, before, strict=True))
    step(1)
    rates = {group["muon"]: group["lr"] for group in step.optimizer.param_groups}
    assert rates == pytest.approx({False: 0.5, True: 0.5 * 0.03 / 0.01})


def test_steps_in_bf16_keep_weights_in_float32() -> None:
    full, half = step_of(GPT), step_of(GPT, precision="bf16")
    with torch.no_grad():
        for ours, theirs in zip(full.parameters, half.parameters, strict=True):
            ours += 0.1 * torch.randn_like(ours)
            theirs.copy_(ours)
    losses = full.gradients(0), half.gradients(0)
    assert 0 < (losses[0] - losses[1]).abs() < 0.05
    half(0)
    assert {p.dtype for p in half.parameters} == {torch.float32}


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_nothing_is_updated_by_a_loss_or_gradient_that_is_not_finite(what: str) -> None:
    step = step_of(GPT)
    step(0)
    if what == "loss":
        with torch.no_grad():
            step.parameters[0].fill_(math.nan)
    else:
        step.parameters[0].register_hook(lambda gradient: gradient * math.inf)
    before = {name: t.clone() for name, t in step.state_tensors().items()}
    with pytest.raises(NotFiniteError, match=r"step 2: loss .*, gradient norm (nan|inf)") as found:
        step(1)
    assert found.value.step == 1
    assert math.isnan(found.value.loss) == (what == "loss")
    for name, tensor in step.state_tensors().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0, equal_nan=True)


def test_averages_are_exponential_and_only_borrowed() -> None:
    step = step_of(GPT, {"training": {"ema_decay": 0.9}})
    average = [p.detach().clone() for p in step.parameters]
    for i in range(12):
        step(i)
        decay = min(0.9, (i + 1) / (i + 10))
        average = [
            decay * a + (1 - decay) * p.detach()
            for a, p in zip(average, step.parameters, strict=True)
        ]
    own = [p.detach().clone() for p in step.parameters]
    with step.ema_weights():
        for p, a in zip(step.parameters, average, strict=True):
            torch.testing.assert_close(p.detach(), a)
    assert all(torch.equal(p, o) for p, o in zip(step.parameters, own, strict=True))


def test_without_averages_the_weights_are_the_model_s() -> None:
    step = step_of(GPT)
    before = step.parameters[0].detach().clone()
    with step.ema_weights():
        assert torch.equal(step.parameters[0], before)


def test_losses_outlast_the_memory_of_a_compiled_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """With CUDA graphs the next call overwrites what the last one returned."""
    returned: list[Tensor] = []

    def overwriting(*arguments: Any) -> Tensor:
        for loss in returned:
            loss.data.fill_(math.nan)
        returned.append(batch_loss(*arguments))
        return returned[-1]

    monkeypatch.setattr("hornbook.engine.step.compiled_loss", lambda device: overwriting)
    step = step_of(GPT, compiled="loss")
    assert torch.stack([step(i)[0] for i in range(3)]).isfinite().all()


@pytest.mark.parametrize("settings", [GPT, MLP], ids=["gpt", "mlp"])
@pytest.mark.parametrize("name", ["adamw", "muon", "sgd"])
def test_a_restored_state_continues_to_the_bit(settings: Any, name: str) -> None:
    extra: Nested = {"optim": {"name": name}, "training": {"ema_decay": 0.9}}
    whole = step_of(settings, extra)
    for i in range(3):
        whole(i)
    state = {name: t.clone() for name, t in whole.state_tensors().items()}
    other = step_of(settings, extra)
    other.check_state_tensors(state)
    assert not other.optimizer.state  # it is not in memory beside the one that is loaded
    other.load_state_tensors(state)
    for i in range(3, 6):
        assert all(torch.equal(a, b) for a, b in zip(whole(i), other(i), strict=True))
    ends = whole.state_tensors(), other.state_tensors()
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(t, ends[1][name]) for name, t in ends[0].items())


def test_batches_that_are_prepared_at_once_change_no_bit() -> None:
    """Neither where a run is resumed between them."""
    own = {"name": "hybrid", "order": 4, "context_length": 16, "n_layer": 1, "n_embd": 16}
    settings = {**GPT, "model": own}

    def losses(step: OptimizerStep, first: int = 0) -> list[Tensor]:
        return [step(i)[0] for i in range(first, 20)]

    def counted() -> OptimizerStep:
        model, batches, config = parts_of(settings)
        model.fit(batches.tokens, torch.tensor([0, len(batches.tokens) - 1]))
        return OptimizerStep(model, batches, config)

    one, several, resumed = counted(), counted(), counted()
    assert several.ahead == 8
    one.ahead = 1
    expected = losses(one)
    assert losses(several) == expected
    for i in range(11):
        resumed(i)
    state = {name: t.clone() for name, t in resumed.state_tensors().items()}
    again = counted()
    again.check_state_tensors(state)
    again.load_state_tensors(state)
    assert losses(again, 11) == expected[11:]


def test_the_state_before_the_first_step_can_be_restored() -> None:
    """No optimizer has a state then."""
    step = step_of(GPT)
    state = step.state_tensors()
    assert not any(name.startswith("optim.") for name in state)
    step.check_state_tensors(state)


def test_a_state_that_is_not_this_run_s_is_refused() -> None:
    step = step_of(GPT)
    step(0)
    state = {name: t.clone() for name, t in step.state_tensors().items()}
    weight = next(name for name in state if name.startswith("model."))
    moment = next(name for name in state if name.endswith("exp_avg"))
    for wrong, message in (
        ({n: t for n, t in state.items() if n != weight}, f"found no {weight}, expected one"),
        ({n: t for n, t in state.items() if n != moment}, f"found no {moment}, expected one"),
        (state | {"model.extra": torch.zeros(1)}, "found model.extra, which this run does not"),
        (state | {"ema.0": torch.zeros(1)}, "found ema.0, which this run does not have"),
        (state | {weight: torch.zeros(2)}, rf"{weight}: found \(2,\) torch.float32, expected"),
        (state | {weight: state[weight].double()}, "torch.float64, expected"),
    ):
        with pytest.raises(RunError, match=message):
            step_of(GPT).check_state_tensors(wrong)


def test_checking_a_state_moves_no_weights() -> None:
    step = step_of(GPT, {"optim": {"weight_decay": 0.5}})
    step(0)
    before = [p.detach().clone() for p in step.parameters]
    step.check_state_tensors(step.state_tensors())
    assert all(torch.equal(p, b) for p, b in zip(step.parameters, before, strict=True))


def test_advance_makes_one_step_where_nothing_is_compiled() -> None:
    one, other = step_of(GPT), step_of(GPT)
    (found,) = one.advance(0, 40)
    assert torch.equal(torch.stack(found), torch.stack(other(0)))
    assert one.span == 1
