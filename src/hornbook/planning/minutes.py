"""The one dial is time: from minutes to a model, its batches and its updates.

How long an update takes here is measured, for a second or two, of the sizes (`sizes.py`) that may
promise most; the one that promises the lowest loss within the minutes is taken. What the report will
take is tried beforehand.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hornbook.config import Nested, merge
from hornbook.data.part import fitting_context
from hornbook.engine.compiled import pays_from
from hornbook.engine.device import generators_kept
from hornbook.engine.step import TrainStep
from hornbook.errors import ConfigError
from hornbook.models.registry import build_model, parse_run_config
from hornbook.planning.budget import Budget, TooShortError
from hornbook.planning.fitting import EPOCHS
from hornbook.planning.plan import DEFAULT_MODEL, Plan, make_plan
from hornbook.planning.sizes import SIZED, SIZES, SMALLEST, Size, settings_of
from hornbook.planning.trials import choose_precision, seconds_of
from hornbook.training.report import seconds_of_report

FORWARD = 3.0  # how much faster tokens are scored than trained on, before that is measured
END = 4  # evaluations' time for those on the way and the report, before that is measured
EVALUATING = 0.1  # share of the minutes at most
MEASURING = 0.1  # share of the minutes after which nothing more is measured,
LONGEST = 3.0  # or so many seconds
UPDATES = 12  # of a size that are measured, so that a moment's other work decides nothing,
ENOUGH = 0.4  # or for so many seconds
GROWTH = 0.75  # an update of n times the operations takes about n^0.75 of the time
MARGIN = 1.2  # times what is needed is advised: the next try measures it again
PER_TOKEN = 30  # parameters for each token of a small text, beyond which larger sizes were worse


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
    asked for as well, TooShortError where the time is.
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
        plan.notes.append("counts are fitted in one pass, whatever the minutes")
        return plan
    name, sized, why = "", plan, ""
    if free:
        name, sized, seconds, why = _best_size(plan, budget, asked)
    else:
        seconds = _measure(plan, _measuring(budget))
    steps, evaluations = _fitting(sized, asked, minutes, budget, seconds)
    precision = plan.config.training.precision
    if free:
        precision = asked.get("training", {}).get("precision", "auto")
        chosen = _of_size(SIZES[plan.corpus.kind][name], plan, steps)
        told = {"training": {"precision": sized.precision}}  # it is known by now
        plan = make_plan(corpus, preset=chosen, settings=merge(asked, told))
        plan.why_precision = sized.why_precision
    most = plan.most_updates or steps
    fitted = {"steps": min(steps, most), "eval_count": evaluations, "minutes": minutes}
    training = plan.config.training.model_copy(update={**fitted, "precision": precision})
    optim = plan.config.optim
    if "warmup" not in asked.get("optim", {}):
        optim = optim.model_copy(
            update={"warmup": min(optim.warmup, max(1, min(steps, most) // 10))}
        )
    plan.config = plan.config.model_copy(update={"training": training, "optim": optim})
    if short and plan.why_compiled == "as told":
        plan.why_compiled = "it would not pay back within the time"
    plan.notes.insert(0, _why(plan, minutes, seconds, why))
    if steps <= most:
        plan.budget = budget
    else:
        plan.notes.append(
            f"ends before its {minutes:.3g} minutes are over: {EPOCHS} times through a small text "
            "are enough"
        )
    return plan


def _why(plan: Plan, minutes: float, seconds: float, size: str) -> str:
    """What was chosen for the minutes, in words."""
    training, optim = plan.config.training, plan.config.optim
    rates = f"{optim.learning_rate:g}"
    if optim.name == "muon":
        rates = f"{optim.muon_learning_rate:g} (Muon) and {rates}"
    each = f"{seconds:.1f} s" if seconds > 1 else f"{seconds * 1e3:.3g} ms"
    words = f"{minutes:.3g} minutes: {size}{training.steps:,} updates of about {each}"
    dropout = getattr(plan.config.model, "dropout", None)
    return f"{words}, rate {rates}" + ("" if dropout is None else f", dropout {dropout:g}")


def _best_size(plan: Plan, budget: Budget, asked: Nested) -> tuple[str, Plan, float, str]:
    """The size of the lowest loss promised, a plan of it, seconds of its update, and why, in words.

    What promises most by an estimate is measured, until what promises most has been measured.
    """
    sizes = SIZES[plan.corpus.kind]
    plans = {name: _sized(size, plan, asked) for name, size in sizes.items()}
    room = PER_TOKEN * plan.train_part.n_targets
    fit = [name for name, sized in plans.items() if sized.model.n_parameters <= room]
    work = {name: plans[name].tokens_per_step * plans[name].model.n_parameters for name in plans}
    seconds: dict[str, float] = {}
    begin, most = time.monotonic(), _measuring(budget)

    def promised(name: str) -> float:
        return sizes[name].promised(_updates(plans[name], budget, _estimate(name, work, seconds)))

    best = next(iter(sizes))
    while best not in seconds:
        spent = time.monotonic() - begin
        if seconds and spent > most:
            best = min(seconds, key=promised)
            break
        choose_precision(plans[best])
        seconds[best] = _measure(plans[best], most - spent)
        best = min(fit or [best], key=promised)
    others = ", ".join(
        f"{name} {promised(name):.2f} ({seconds[name] * 1e3:.0f} ms an update)"
        for name in sizes
        if name in seconds
    )
    why = f"size {best}; promised on a text of this kind, without options of the model: {others}; "
    return best, plans[best], seconds[best], why


def _measuring(budget: Budget) -> float:
    """Seconds for measuring."""
    return min(LONGEST, MEASURING * budget.seconds)


def _updates(plan: Plan, budget: Budget, seconds: float) -> float:
    """Updates that a size can make, in the time and of the text."""
    besides = END * _evaluation(plan, seconds)
    left = max(0.0, budget.left - besides) / seconds
    return min(left, plan.most_updates or left)


def _estimate(name: str, work: Mapping[str, float], seconds: Mapping[str, float]) -> float:
    """Seconds of an update: as measured, or by the size that is nearest in operations."""
    near = min(seconds, key=lambda other: abs(math.log(work[other] / work[name])))
    return seconds[near] * float((work[name] / work[near]) ** GROWTH)


def _sized(size: Size, plan: Plan, asked: Nested) -> Plan:
    """The plan with a model and batches of a size, and with what is asked for besides."""
    free = {"training": {"precision": "auto"}}  # the look at the text was not
    layers = plan.config.model_dump(), free, _of_size(size, plan, 1000), asked
    config = parse_run_config(merge(*layers))
    model = build_model(config.model, plan.tokenizer.vocab_size, plan.tokenizer.end_id)
    return replace(plan, config=config, model=model.to(plan.device).train())


def _measure(plan: Plan, most: float) -> float:
    """Seconds of an update of a plan here, of several within `most`; a copy is updated."""
    with generators_kept(plan.device):
        model = copy.deepcopy(plan.model).train()
        step = TrainStep(model, plan.batches, plan.config, plan.precision)
        return seconds_of(step, plan.device, times=UPDATES, most=min(ENOUGH, most))


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


def _fitting(
    plan: Plan, asked: Nested, minutes: float, budget: Budget, seconds: float
) -> tuple[int, int]:
    """Updates and evaluations that fit. Raises TooShortError where no two of both do."""
    known = plan.config.training.eval_count if "eval_count" in asked.get("training", {}) else None
    budget.report = budget.evaluation = _evaluation(plan, seconds)
    _refuse_too_short(budget, minutes, seconds, known or 2)
    budget.evaluation, budget.report = seconds_of_report(plan)
    most = int(EVALUATING * budget.left / max(budget.evaluation, 1e-9))
    evaluations = known or max(2, min(plan.config.training.eval_count, most))
    _refuse_too_short(budget, minutes, seconds, evaluations)
    return budget.fits(seconds, evaluations * budget.evaluation), evaluations


def _evaluation(plan: Plan, seconds: float) -> float:
    """Seconds of an evaluation, by those of an update, before that is measured."""
    computed = plan.batches.batch_size * plan.length  # tokens in an update
    return plan.val_part.n_targets * seconds / computed / FORWARD


def _refuse_too_short(budget: Budget, minutes: float, seconds: float, evaluations: int) -> None:
    """Raises TooShortError where no two updates and so many evaluations fit."""
    besides = evaluations * budget.evaluation
    if budget.fits(seconds, besides) < 2:
        spent = time.monotonic() - budget.began
        needed = MARGIN * (spent + budget.report + besides + 2 * seconds) / 60
        what = f"two updates and {evaluations} evaluations"
        raise TooShortError(minutes, needed, what)
