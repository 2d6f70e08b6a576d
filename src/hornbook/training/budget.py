"""The one dial is time: from minutes to a model, its batches and its updates.

How long an update of each size takes here is measured: for a second or two where minutes are few, up
to ten seconds where they are many. What a size reaches after how many updates was measured before, on
the names and on Shakespeare (`benchmarks/budget.py`), and is kept here as a law, loss = a + b *
updates^-c. The size that promises the lowest loss within the minutes is taken. Two fifths of the way
the updates that are left are counted anew, by the time that they took so far; then the rate begins to
fall.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hornbook.config import Nested, RunConfig, merge
from hornbook.data.part import fitting_context
from hornbook.errors import ConfigError
from hornbook.models.registry import build_model
from hornbook.run import parse_config
from hornbook.training.compiled import pays_from
from hornbook.training.device import generators_kept
from hornbook.training.fitting import EPOCHS
from hornbook.training.plan import DEFAULT_MODEL, Plan, make_plan
from hornbook.training.step import TrainStep
from hornbook.training.trials import choose_precision, seconds_of

END = {"documents": 0.6, "stream": 2.0}  # seconds of the report, besides its evaluation
FORWARD = 3.0  # how much faster tokens are scored than trained on
EVALUATING = 0.1  # share of the minutes at most
MEASURING = 0.1  # share of the minutes after which nothing more is measured
UPDATES = 12  # of a size that are measured, so that a moment's other work decides nothing
PER_TOKEN = 30  # parameters for each token of a small text, beyond which larger sizes were worse


@dataclass(frozen=True)
class Size:
    """A size of the GPT: blocks, channels, heads, context in tokens, rows of a batch.

    law: a, b, c of the loss that it promises. short: updates below which it gains by higher rates.
    """

    n_layer: int
    n_embd: int
    n_head: int
    context_length: int
    batch_size: int
    law: tuple[float, float, float]
    short: int = 0

    def promised(self, updates: float) -> float:
        """The validation loss in nats after so many updates."""
        a, b, c = self.law
        return a + b * float(max(updates, 1.0) ** -c)


SIZES = {  # by the kind of text
    "documents": {
        "tiny": Size(2, 48, 2, 64, 16, (1.919, 6.80, 0.65), 1300),
        "small": Size(3, 64, 2, 64, 16, (1.868, 8.05, 0.65), 800),
        "medium": Size(4, 128, 2, 64, 24, (1.859, 4.88, 0.65)),
    },
    "stream": {
        "tiny": Size(2, 64, 2, 128, 8, (1.619, 28.16, 0.80), 1300),
        "small": Size(2, 96, 3, 128, 8, (1.532, 33.54, 0.80), 800),
        "medium": Size(3, 96, 3, 128, 12, (1.483, 27.63, 0.80), 800),
        "large": Size(4, 128, 4, 128, 12, (1.422, 29.97, 0.80)),
        "huge": Size(4, 192, 6, 128, 16, (1.375, 27.64, 0.80)),
    },
}


def dropout_for(epochs: float) -> float:
    """More of it the more often each token is seen."""
    for most, share in ((2, 0.0), (6, 0.05), (20, 0.1)):
        if epochs < most:
            return share
    return 0.2


def settings_of(size: Size, steps: int, epochs: float) -> dict[str, dict[str, Any]]:
    """A whole training of a size: `steps` updates that see each token `epochs` times."""
    short = steps < size.short
    return {
        "model": {
            "name": "gpt",
            "context_length": size.context_length,
            "n_layer": size.n_layer,
            "n_head": size.n_head,
            "n_kv_head": size.n_head,
            "n_embd": size.n_embd,
            "n_hidden": 3 * size.n_embd,
            "dropout": dropout_for(epochs),
        },
        "optim": {
            "name": "muon",
            "learning_rate": 0.02 if short else 5e-3,
            "muon_learning_rate": 0.03 if short else 0.02 if size.n_embd > 64 else 0.015,
            "schedule": "linear",
            "warmup": min(40, max(1, steps // 10)),
            "decay_start": 0.4,
            "final": 0.0,
            "beta2": 0.98,
            "weight_decay": 0.1,
        },
        "training": {"steps": steps, "batch_size": size.batch_size},
    }


SMALLEST = {  # what a size decides on of the model, besides its context
    field: value
    for field, value in settings_of(SIZES["documents"]["tiny"], 1, 1.0)["model"].items()
    if field not in ("name", "dropout", "context_length")
}
SIZED = {*SMALLEST, "context_length"}


@dataclass(frozen=True)
class Budget:
    """Seconds to end within, from `began` (time.monotonic()) on."""

    seconds: float
    began: float

    def left(self, end: float) -> float:
        """Seconds for updates, if the end of the run takes so many."""
        return max(0.0, self.seconds - (time.monotonic() - self.began) - end)


def plan_in_time(
    minutes: float,
    began: float,
    corpus: str | None,
    *,
    model: str | None,
    preset: str | Nested | None,
    settings: Mapping[str, Mapping[str, Any]],
) -> Plan:
    """The plan that ends after so many minutes, `began` (time.monotonic()) included.

    The size is chosen for the default model, unless a preset or a field of SIZED is asked for; else its
    updates alone. The laws are those of the model without options. Raises ConfigError where updates are
    asked for as well, or the time is too short.
    """
    asked: Nested = merge(settings)
    if "steps" in asked.get("training", {}):
        raise ConfigError("minutes: found it beside steps; give one of them")
    budget = Budget(60 * minutes, began)
    fields = asked.get("model", {})
    default = preset is None and (model or fields.get("name", DEFAULT_MODEL)) == DEFAULT_MODEL
    free = default and not fields.keys() & SIZED
    short = budget.seconds < pays_from("updates") and "compile" not in asked.get("training", {})
    if short:
        asked = merge(asked, {"training": {"compile": "no"}})
    # to look at the text with, planned at once
    look = {"model": SMALLEST, "training": {"batch_size": 8, "precision": "fp32"}} if free else {}
    plan = make_plan(corpus, model=model, preset=preset, settings=merge(look, asked))
    if plan.model.fitted:
        return plan
    if free:
        name, seconds, why = _best_size(plan, budget, asked)
        updates = round(budget.left(END[plan.corpus.kind]) / seconds)
        chosen = _of_size(SIZES[plan.corpus.kind][name], plan, max(1, updates))
        plan = make_plan(corpus, preset=chosen, settings=asked)
        plan.notes.insert(0, why)
    else:
        with generators_kept(plan.device):
            copied = copy.deepcopy(plan.model).train()
            step = TrainStep(copied, plan.batches, plan.config, plan.precision)
            seconds = seconds_of(step, plan.device, most=MEASURING * budget.seconds)
    if short and plan.why_compiled == "as told":
        plan.why_compiled = "it would not pay back within the time"
    return _with_updates(plan, asked, minutes, budget, seconds)


def _best_size(plan: Plan, budget: Budget, asked: Nested) -> tuple[str, float, str]:
    """The size of the lowest loss promised, seconds of its update, and why, in words."""
    kind, best, seconds = plan.corpus.kind, "", {}
    updates: dict[str, float] = {}
    losses: dict[str, float] = {}
    begin = time.monotonic()
    for name, size in SIZES[kind].items():
        sized = _sized(size, plan, asked)
        crowded = sized.model.n_parameters > PER_TOKEN * plan.train_part.n_targets
        if losses and (crowded or time.monotonic() - begin > MEASURING * budget.seconds):
            break
        seconds[name] = _measure(sized, MEASURING * budget.seconds)
        left = budget.left(END[kind]) / seconds[name]
        updates[name] = min(left, sized.most_updates or left)
        losses[name] = size.promised(updates[name])
        best = min(losses, key=losses.__getitem__)
        if best != name:  # those that are larger still promise less
            break
    others = ", ".join(
        f"{name} {loss:.2f} ({seconds[name] * 1e3:.0f} ms an update)"
        for name, loss in losses.items()
    )
    why = (
        f"size {best}, about {updates[best]:,.0f} updates; promised on a text of this kind, without "
        f"options of the model: {others}"
    )
    return best, seconds[best], why


def _sized(size: Size, plan: Plan, asked: Nested) -> Plan:
    """The plan with a model and batches of a size, and with what is asked for besides."""
    free = {"training": {"precision": "auto"}}  # the look at the text was not
    layers = plan.config.model_dump(), free, _of_size(size, plan, 1000), asked
    config = parse_config(merge(*layers))
    model = build_model(config.model, plan.tokenizer.vocab_size, plan.tokenizer.end_id)
    return replace(plan, config=config, model=model.to(plan.device).train())


def _measure(plan: Plan, most: float) -> float:
    """Seconds of an update of a plan here, of several within `most`."""
    choose_precision(plan)
    step = TrainStep(plan.model, plan.batches, plan.config, plan.precision)
    return seconds_of(step, plan.device, times=UPDATES, most=most)


def _of_size(size: Size, plan: Plan, updates: int) -> Nested:
    """The settings of a size on the text of a plan: its context fits the text."""
    rows, length = size.batch_size, size.context_length
    if plan.corpus.kind == "documents":
        fitted = plan.model.context_length
    else:
        fitted = fitting_context(plan.val_part.n_targets, length)
    rows = max(1, rows * length // fitted)
    tokens = max(1, updates) * rows * fitted
    epochs = tokens / plan.train_part.n_targets
    return settings_of(replace(size, context_length=fitted, batch_size=rows), updates, epochs)


def _with_updates(
    plan: Plan, asked: Nested, minutes: float, budget: Budget, seconds: float
) -> Plan:
    """The plan with as many updates as fit."""
    score = plan.val_part.n_targets * seconds / plan.tokens_per_step / FORWARD
    end = END[plan.corpus.kind] + score
    left = budget.left(end)
    evaluations = plan.config.training.evaluations
    if "evaluations" not in asked.get("training", {}):
        evaluations = max(2, min(evaluations, int(EVALUATING * left / max(score, 1e-9))))
    steps = int((left - evaluations * score) / seconds)
    if steps < 2:
        needed = time.monotonic() - budget.began + end + evaluations * score + 2 * seconds
        raise ConfigError(
            f"minutes: found {minutes:g}, too few here for two updates and {evaluations} evaluations; "
            f"give {math.ceil(needed / 6 + 0.5) / 10:g} or more"
        )
    most = plan.most_updates or steps
    if steps > most:
        plan.notes.append(
            f"ends before its {minutes:g} minutes are over: {EPOCHS} times through a small text "
            "are enough"
        )
    plan.config = with_horizon(plan.config, min(steps, most))
    training = plan.config.training.model_copy(
        update={"evaluations": evaluations, "minutes": minutes}
    )
    plan.config = plan.config.model_copy(update={"training": training})
    if steps <= most:
        plan.budget = Budget(budget.seconds - end, budget.began)
    return plan


def with_horizon(config: RunConfig, steps: int, turn: int | None = None) -> RunConfig:
    """The settings with so many updates in all; the rate begins to fall after `turn` of them."""
    training = config.training.model_copy(update={"steps": steps})
    update: dict[str, object] = {"training": training}
    if turn is not None:
        update["optim"] = config.optim.model_copy(update={"decay_start": turn / steps})
    return config.model_copy(update=update)
