"""Several steps in one call: what they are equal to, and when they are not made."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor

from hornbook.config import Nested
from hornbook.engine.compiled import CompiledSteps, can_compile_steps, has_compiler
from hornbook.kernels.tuning import SPAN
from tests.engine.small import GPT, MLP, parts_of, step_of

CPU = torch.device("cpu")


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph of the steps as it was traced, which takes no time to compile."""
    monkeypatch.setattr("hornbook.engine.compiled.compile_trace", lambda graph, *_: graph)


def one_by_one(settings: list[Nested], n: int) -> tuple[Tensor, list[Tensor]]:
    """Losses and norms (2, n) of single steps, and the parameters and buffers after them."""
    step = step_of(*settings)
    figures = torch.tensor([step(i) for i in range(n)]).T
    return figures, [*step.model.parameters(), *step.model.buffers()]


@pytest.mark.skipif(not has_compiler(CPU), reason="compiling needs a C++ compiler")
def test_compiled_steps_are_the_same_but_for_rounding() -> None:
    settings: list[Nested] = [MLP, {"model": {"norm": "none"}, "optim": {"l2": 0.01}}]
    model, batches, _ = parts_of(*settings)
    steps = CompiledSteps(model, 0.01)
    found = []
    for first in (0, 2):  # two steps in a call: eight take several times as long to compile
        ids, targets = batches.several(first, 2)
        figures = steps(ids, targets, torch.full((2,), 0.1))
        assert figures is not None
        found.append(figures.clone())
    figures, values = one_by_one(settings, 4)
    torch.testing.assert_close(torch.cat(found, dim=1), figures, atol=1e-5, rtol=1e-4)
    for ours, theirs in zip([*model.parameters(), *model.buffers()], values, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    "model",
    [{"norm": "none"}, {"norm": "batchnorm"}, {"norm": "batchnorm", "n_layer": 3}],
    ids=["mlp", "batchnorm", "deep"],
)
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_steps_in_one_call_are_single_steps(model: dict[str, object], l2: float) -> None:
    settings: list[Nested] = [MLP, {"model": model, "optim": {"l2": l2}}]
    step = step_of(*settings, compiled="steps")
    made = step.advance(0, 40)
    assert step.span == SPAN == len(made)
    figures, values = one_by_one(settings, SPAN)
    torch.testing.assert_close(torch.tensor(made).T, figures)
    for ours, theirs in zip([*step.model.parameters(), *step.model.buffers()], values, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.usefixtures("uncompiled")
def test_fewer_steps_than_a_call_makes_are_made_one_by_one() -> None:
    step = step_of(MLP, compiled="steps")
    assert len(step.advance(0, SPAN - 1)) == 1  # something is due before
    assert len(step.advance(1, 40)) == 1  # calls begin at multiples, so that a resumed run agrees
    assert len(step.advance(SPAN, 2 * SPAN)) == SPAN


@pytest.mark.usefixtures("uncompiled")
def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    model, batches, _ = parts_of(MLP)
    steps, values = CompiledSteps(model, 0.0), [*model.parameters(), *model.buffers()]
    ids, targets = batches.several(0, 3)
    assert steps(ids, targets, torch.full((3,), 0.1)) is not None
    before = [v.detach().clone() for v in values]
    assert steps(ids, targets, torch.full((3,), math.inf)) is None
    assert all(torch.equal(v, b) for v, b in zip(values, before, strict=True))


@pytest.mark.usefixtures("uncompiled")
def test_batches_of_another_shape_are_not_computed() -> None:
    model, batches, _ = parts_of(MLP)
    steps = CompiledSteps(model, 0.0)
    ids, targets = batches.several(0, 3)
    assert steps(ids, targets, torch.full((3,), 0.1)) is not None
    assert steps(ids[:, :5], targets[:, :5], torch.full((3,), 0.1)) is None


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    "factor", [lambda w: float(1 + w.numpy()[0].sum()), lambda w: torch.rand(())]
)
def test_what_a_graph_does_not_repeat_is_not_compiled(
    factor: Callable[[Tensor], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values that are read out of a tensor, and random numbers."""
    model, batches, _ = parts_of(MLP)
    compute = model.window_logits
    monkeypatch.setattr(model, "window_logits", lambda w: compute(w) * factor(w))
    before = [p.detach().clone() for p in model.parameters()]
    ids, targets = batches.several(0, 3)
    assert CompiledSteps(model, 0.0)(ids, targets, torch.full((3,), 0.1)) is None
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


def test_steps_that_cannot_be_compiled_are_made_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(*_: Any) -> NoReturn:
        raise RuntimeError("no compiler")

    monkeypatch.setattr("hornbook.engine.compiled.compile_trace", failing)
    step, plain = step_of(MLP, compiled="steps"), step_of(MLP)
    for i in range(3):
        (found,) = step.advance(i, 40)
        assert torch.equal(torch.stack(found), torch.stack(plain(i)))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"model": {"norm": "none"}}, True),
        ({"model": {"dropout": 0.1}}, False),
        ({"model": {"n_hidden": 4000, "n_embd": 300}, "training": {"batch_size": 64}}, False),
        ({"optim": {"grad_clip": 1.0}}, False),
        ({"optim": {"name": "adamw"}}, False),
        ({"training": {"ema_decay": 0.9}}, False),
        ({"training": {"examples": "sequences"}}, False),
    ],
)
def test_small_steps_of_plain_descent_can_be_compiled(settings: Nested, expected: bool) -> None:
    model, batches, config = parts_of(MLP, settings)
    assert can_compile_steps(model, batches, config) is expected


def test_other_models_are_not_compiled_in_steps() -> None:
    plain: Nested = {
        "optim": {"name": "sgd", "grad_clip": 0.0},
        "training": {"examples": "windows"},
    }
    model, batches, config = parts_of(GPT, plain)
    assert not can_compile_steps(model, batches, config)


def test_a_compiler_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name if name == "my-c++" else None)
    monkeypatch.delenv("CXX", raising=False)
    assert not has_compiler(CPU)
    monkeypatch.setenv("CXX", "my-c++")
    assert has_compiler(CPU)
