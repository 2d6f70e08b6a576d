"""A time budget: from minutes to a model, its size, and the steps that fit.

How long a step takes is measured for a second or two, of the sizes that are expected to be best. What
the report will take is tried beforehand.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from hornbook.config import merge
from hornbook.data.training_data import TrainingData
from hornbook.errors import counted
from hornbook.metrics.counts import HIGHEST, MOST_TOKENS, Counts, search_order
from hornbook.planning import tuning
from hornbook.planning.decide import finetuning
from hornbook.planning.decide.laws import Trained, expected_ratio
from hornbook.planning.decide.size import SIZES, Candidate, choose_size
from hornbook.planning.decide.time_budget import TimeBudget, TooShortError
from hornbook.planning.decision import Decision
from hornbook.planning.plan import Plan
from hornbook.planning.request import Request
from hornbook.planning.resolution import Resolution
from hornbook.stages import stage

Choice = Literal["counts", "gpt", "hybrid"]
IN_WORDS: dict[Choice, str] = {"counts": "counts", "gpt": "network", "hybrid": "hybrid"}


def best_plan(
    request: Request, data: TrainingData, budget: TimeBudget, choices: Sequence[Choice]
) -> Plan:
    """The plan of what promises the lowest loss on this text in this time.

    choices: counts alone, a network alone (`gpt`), and both as one (`hybrid`).
    """
    with stage("counting, to see what the text is like"):
        counts = search_order(data.train, data.tokenizer, searched_tokens(budget))
    if choices[0] == "counts" and not _time_to_train(budget, counts):
        return plan_of_counts(request, data, budget, counts, "no time for a network")
    try:
        resolution, seconds, expected = resolution_of_size(request, data, budget, counts, choices)
        if choices[0] == "counts" and expected > (1 - tuning.WORTH_TRAINING) * counts.loss:
            why = f"a network on them promises {expected:.3f}"
            return plan_of_counts(request, data, budget, counts, why)
        return plan_in_time(budget, resolution, seconds)
    except TooShortError:
        if choices[0] != "counts":
            raise
    return plan_of_counts(request, data, budget, counts, "no time for a network")


def _time_to_train(budget: TimeBudget, counts: Counts) -> bool:
    """Whether anything but counts can be ready in time, by the seconds that the search took."""
    whole = counts.seconds / counts.share
    return budget.seconds_left > tuning.FEWEST_TRAINING_SECONDS + tuning.COUNTINGS * whole


def plan_of_counts(
    request: Request, data: TrainingData, budget: TimeBudget, counts: Counts, why: str
) -> Plan:
    """The plan of counts alone, of the order that is best on a tenth of the training part."""
    settings = merge(request.settings, {"model": {"name": "ngram"}})
    preset = {"model": {"name": "ngram", "order": counts.order}}
    resolution = Resolution(preset, replace(request, settings=settings), data)
    reason = f"counts of order {counts.order} promise {counts.loss:.3f} nats per token here; {why}"
    resolution.decisions["size"] = Decision("counts", reason)
    plan = resolution.plan_of_counts(chosen=True)
    with stage("counting, to compare"):  # now, and for as long as there is time
        plan.text_index.best_counts(
            data.train, data.validation, data.tokenizer, counted_tokens(budget)
        )
    return plan


def _promised_steps(r: Resolution) -> int:
    """The steps up to which a model is taken at its word beside a hybrid: the law of networks is of
    runs that read their text a few times, too."""
    few = round(tuning.HYBRID_EPOCHS * r.shape.n_train / r.tokens_per_step)
    return min(r.max_steps or few, few)


def _expected_loss(base: float, kind: str, model: Trained, size: str, steps: float) -> float:
    return base * expected_ratio(kind, model, size, steps)


def _order(request: Request, counts: Counts, kind: str) -> int:
    """The order of a hybrid's counts: the requested one, else the best of counts alone, of a stream a
    higher one."""
    best = counts.order if kind == "documents" else counts.order + tuning.HIGHER_ORDER
    return int(request.requested("model", "order") or min(best, HIGHEST))


def resolution_of_size(
    request: Request,
    data: TrainingData,
    budget: TimeBudget,
    counts: Counts,
    choices: Sequence[Choice] = ("gpt",),
) -> tuple[Resolution, float, float]:
    """The model and size of the lowest expected loss, seconds of its step, and that loss.

    counts: the best of the text, by a tenth of its training part.
    """
    kind, base = data.corpus.kind, counts.loss
    order = _order(request, counts, kind)
    if order < counts.order:
        base = counts.losses[order - 1]
    resolutions: dict[str, Resolution] = {}
    candidates: dict[str, Candidate] = {}
    models: tuple[Trained, ...] = ("hybrid", "gpt")
    for model in models:
        if model not in choices:
            continue
        asked = replace(request, settings=merge(request.settings, {"model": {"name": model}}))
        for size_name, size in SIZES[kind].items():
            name = f"{IN_WORDS[model]} {size_name}"
            preset = size.settings(order if model == "hybrid" else None)
            if model == "hybrid" and budget.minutes < tuning.SHORT_MINUTES:
                preset["model"]["held_back"] = 0.0  # worth nothing within a pass through the text
            resolutions[name] = r = Resolution(preset, asked, data, size)
            most_parameters = tuning.PARAMETERS_PER_TOKEN * data.train.n_targets
            candidates[name] = Candidate(
                partial(_expected_loss, base, kind, model, size_name),
                r.tokens_per_step * r.shape.n_parameters,
                _promised_steps(r) if "hybrid" in choices else r.max_steps,
                r.shape.n_parameters <= most_parameters,
            )
    most, timed, spent = measuring_seconds(budget), list[str](), 0.0

    def measure(name: str) -> float:
        nonlocal spent
        # threads and precision are measured for one size, and again for that which is chosen
        resolutions[name].decide_execution(resolutions[timed[0]] if timed else None)
        timed.append(name)
        begin = time.monotonic()
        found = resolutions[name].bench.step_seconds(most)
        spent += time.monotonic() - begin  # without counting, which is done once
        return found

    def seconds_left(name: str, seconds: float) -> float:
        evaluation = _evaluation_seconds(resolutions[name], seconds)
        return budget.seconds_left - tuning.BEFORE_MEASURED * evaluation

    with stage("measuring sizes of the model"):
        name, seconds, expected = choose_size(
            candidates, seconds_left, measure, lambda: spent < most
        )
        resolution = resolutions[name]
        if name != timed[0]:
            before = {n: resolution.decisions[n].value for n in ("threads", "precision")}
            resolution.decide_execution()
            if before != {n: resolution.decisions[n].value for n in before}:
                seconds[name] = resolution.bench.step_seconds(most)
    figures = {
        other: f"{other} {expected[other]:.3f} ({took * 1e3:.0f} ms a step)"
        for other, took in sorted(seconds.items(), key=lambda item: expected.get(item[0], 9.0))
        if other in expected
    }
    if "hybrid" in choices:
        networks = [other for other in expected if other.startswith(IN_WORDS["gpt"])]
        if networks and not figures.keys() & set(networks):
            best = min(networks, key=expected.__getitem__)
            figures[best] = f"{best} alone about {expected[best]:.2f}"
        figures["counts"] = f"counts of order {min(order, counts.order)} alone {base:.3f}"
    shown = ", ".join(figures.values())
    reason = f"{name} promises the lowest loss on this text, in nats per token: {shown}"
    resolution.decisions["size"] = Decision(name.split()[1], reason)
    return resolution, seconds[name], expected[name]


def plan_in_time(budget: TimeBudget, resolution: Resolution, seconds: float | None = None) -> Plan:
    """The plan of as many steps as fit. Raises TooShortError where no two of them do.

    seconds: of a step, where it was measured to choose a size.
    """
    bench, draft = resolution.bench, resolution.draft
    if seconds is None:
        with stage("measuring a step"):
            seconds = bench.step_seconds(measuring_seconds(budget))
    name = "training.eval_count"
    known = draft[name] if draft.is_requested(name) else None
    guess = _evaluation_seconds(resolution, seconds)
    rough = replace(budget, evaluation=guess, report=guess + tuning.REPORT_OVERHEAD)
    rows, continues = resolution.rows, resolution.start is not None
    fewest = resolution.least_rows / rows if continues else 1.0
    rough.check(seconds * fewest, 1 + (known or 1))
    with stage("measuring an evaluation"):
        evaluation, report = bench.report_seconds(counted_tokens(budget))
    budget = replace(budget, evaluation=evaluation, report=report * resolution.request.reserve)
    fitting = Decision(budget.evaluations(draft[name]), "those that fit into the time")
    count = draft.decide(name, fitting)
    if budget.minutes < tuning.SHORT_MINUTES:
        draft.decide("training.sample_count", Decision(0, "too little time"))
    count += 1  # and one before the first step
    if continues:
        fits = max(0, budget.steps(seconds, count * evaluation))
        batch = finetuning.batch_in_time(resolution.batch, rows, fits, resolution.least_rows)
        resolution.batch = draft.propose("training.batch_size", batch)
        seconds *= resolution.rows / rows
    budget.check(seconds, count)
    steps = Decision(
        budget.steps(seconds, count * evaluation),
        f"as many as fit into {counted(budget.minutes, 'minute')}, {seconds * 1e3:.3g} ms each",
    )
    resolution.decide_steps(steps, in_time=True)
    if draft["training.steps"] == steps.value:
        return resolution.plan(step_seconds=seconds, time_budget=budget)
    note = (
        f"ends before the {counted(budget.minutes, 'minute')} given: "
        f"{resolution.most_passes} times through the text are enough"
    )
    return resolution.plan(step_seconds=seconds, notes=(note,))


def measuring_seconds(budget: TimeBudget) -> float:
    """Seconds for measuring."""
    return min(tuning.MEASURING_SECONDS, tuning.MEASURING_SHARE * 60 * budget.minutes)


def counted_tokens(budget: TimeBudget) -> int:
    """Tokens of the training part that the search for the best counts takes at most."""
    seconds = tuning.COUNTING_SHARE * 60 * budget.minutes
    return min(MOST_TOKENS, max(tuning.FEWEST_COUNTED, int(tuning.COUNTED_A_SECOND * seconds)))


def searched_tokens(budget: TimeBudget) -> int:
    """Tokens of the training part that the search for the best order takes at most."""
    seconds = tuning.SEARCHING_SHARE * 60 * budget.minutes
    return min(MOST_TOKENS, max(tuning.FEWEST_COUNTED, int(tuning.COUNTED_A_SECOND * seconds)))


def _evaluation_seconds(resolution: Resolution, seconds: float) -> float:
    """Seconds of an evaluation by those of a step, before it is measured."""
    computed = resolution.rows * resolution.shape.row_length  # tokens in a step
    data = resolution.data
    n_tokens = data.validation.n_targets
    if data.split.held_out:
        n_tokens += min(tuning.TRAINING_SAMPLE, data.train.n_targets)
    return n_tokens * seconds / computed / tuning.FORWARD_SPEEDUP
