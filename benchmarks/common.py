"""What several benchmarks do: make a plan, train it to its last step, measure the validation loss."""

from __future__ import annotations

import time
from typing import Any

from hornbook.config import Nested, merge
from hornbook.engine.device import synchronize, use_threads
from hornbook.engine.step import OptimizerStep
from hornbook.machine import keep_freed_memory
from hornbook.metrics.loss import evaluate
from hornbook.planning.decide.batches import dropout
from hornbook.planning.decide.size import Size
from hornbook.planning.plan import Plan
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve


def make_plan(
    corpus: str | None = None,
    *,
    model: str | None = None,
    preset: str | Nested | None = None,
    settings: Nested | None = None,
) -> Plan:
    """The plan of a run, as `hornbook train` makes it."""
    return resolve(read_request(corpus, model=model, preset=preset, settings=settings))


def build_step(plan: Plan) -> OptimizerStep:
    """The steps of a plan, on a model with its first weights."""
    return OptimizerStep(
        plan.build_model().train(), plan.build_batches(), plan.config, plan.precision, plan.compiled
    )


def train_steps(plan: Plan, step: OptimizerStep, first: int, until: int) -> float:
    """Makes the steps from `first` up to `until`, not included, and returns their seconds."""
    step.model.train()
    with keep_freed_memory(), use_threads(plan.threads):
        begin = time.perf_counter()
        while first < until:
            first += len(step.advance(first, until))
        synchronize(plan.device)
        return time.perf_counter() - begin


def validation_loss(plan: Plan, step: OptimizerStep) -> float:
    """Nats per token over the whole validation part."""
    plan.calibrate(step.model)
    return evaluate(step.model, plan.data.validation).nats


def train_to_end(plan: Plan) -> dict[str, Any]:
    """All steps of a plan: what they took and the loss after them."""
    step = build_step(plan)
    seconds = train_steps(plan, step, 0, plan.config.training.steps)
    return {
        "steps": plan.config.training.steps,
        "seconds": seconds,
        "loss": round(validation_loss(plan, step), 4),
        "precision": plan.precision,
        "parameters": step.model.n_parameters,
    }


def size_settings(size: Size, steps: int, epochs: float, order: int | None = None) -> Nested:
    """The settings with which a size is trained for so many steps.

    epochs: how often the run sees each token; it decides on the dropout. order: of a hybrid's counts.
    """
    rate, muon_rate = size.learning_rates(steps, counts=order is not None)
    optim = {
        "learning_rate": rate,
        "muon_learning_rate": muon_rate,
        "warmup": min(40, max(1, steps // 10)),
    }
    share = dropout(0.0, small_text=False, epochs=epochs).value
    fields = {"model": {"dropout": share}, "optim": optim, "training": {"steps": steps}}
    return merge(size.settings(order), fields)
