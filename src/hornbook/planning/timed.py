"""A time budget: from minutes to a size, and to the steps that fit.

How long a step takes is measured for a second or two, of the sizes that are expected to be best. What
the report will take is tried beforehand.
"""

from __future__ import annotations

import time
from dataclasses import replace

from hornbook.data.training_data import TrainingData
from hornbook.errors import counted
from hornbook.metrics.counts import MOST_TOKENS
from hornbook.planning import tuning
from hornbook.planning.decide.size import SIZES, Candidate, choose_size
from hornbook.planning.decide.time_budget import TimeBudget
from hornbook.planning.decision import Decision
from hornbook.planning.plan import Plan
from hornbook.planning.request import Request
from hornbook.planning.resolution import Resolution
from hornbook.stages import stage


def resolution_of_size(
    request: Request, data: TrainingData, budget: TimeBudget
) -> tuple[Resolution, float]:
    """The size of the lowest expected loss, and seconds of its step."""
    sizes = SIZES[data.corpus.kind]
    resolutions = {
        name: Resolution(size.settings(), request, data, size) for name, size in sizes.items()
    }
    most_parameters = tuning.PARAMETERS_PER_TOKEN * data.train.n_targets
    candidates = {
        name: Candidate(
            sizes[name],
            r.tokens_per_step * r.shape.n_parameters,
            r.max_steps,
            r.shape.n_parameters <= most_parameters,
        )
        for name, r in resolutions.items()
    }
    begin, most = time.monotonic(), measuring_seconds(budget)

    def measure(name: str) -> float:
        resolutions[name].decide_execution()
        return resolutions[name].bench.step_seconds(most)

    def seconds_left(name: str, seconds: float) -> float:
        evaluation = _evaluation_seconds(resolutions[name], seconds)
        return budget.seconds_left - tuning.BEFORE_MEASURED * evaluation

    with stage("measuring sizes of the model"):
        name, seconds, expected = choose_size(
            candidates, seconds_left, measure, lambda: time.monotonic() - begin < most
        )
    figures = ", ".join(
        f"{other} {expected[other]:.2f} ({took * 1e3:.0f} ms a step)"
        for other, took in seconds.items()
    )
    resolution = resolutions[name]
    resolution.decisions["size"] = Decision(
        name, f"size {name}; expected loss on a text of this kind: {figures}"
    )
    return resolution, seconds[name]


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
    rough.check(seconds, 1 + (known or 2))
    with stage("measuring an evaluation"):
        evaluation, report = bench.report_seconds(counted_tokens(budget))
    budget = replace(budget, evaluation=evaluation, report=report * resolution.request.reserve)
    fitting = Decision(budget.evaluations(draft[name]), "those that fit into the time")
    count = draft.decide(name, fitting)
    count += 1  # and one before the first step
    budget.check(seconds, count)
    steps = Decision(
        budget.steps(seconds, count * evaluation),
        f"as many as fit into {counted(budget.minutes, 'minute')}, {seconds * 1e3:.3g} ms each",
    )
    resolution.decide_steps(steps, in_time=True)
    if draft["training.steps"] == steps.value:
        return resolution.plan(step_seconds=seconds, time_budget=budget)
    note = (
        f"ends before its {counted(budget.minutes, 'minute')} are over: "
        f"{tuning.SMALL_TEXT_EPOCHS} times through a small text are enough"
    )
    return resolution.plan(step_seconds=seconds, notes=(note,))


def measuring_seconds(budget: TimeBudget) -> float:
    """Seconds for measuring."""
    return min(tuning.MEASURING_SECONDS, tuning.MEASURING_SHARE * 60 * budget.minutes)


def counted_tokens(budget: TimeBudget) -> int:
    """Tokens of the training part that the search for the best counts takes at most."""
    seconds = tuning.COUNTING_SHARE * 60 * budget.minutes
    return min(MOST_TOKENS, max(tuning.FEWEST_COUNTED, int(tuning.COUNTED_A_SECOND * seconds)))


def _evaluation_seconds(resolution: Resolution, seconds: float) -> float:
    """Seconds of an evaluation by those of a step, before it is measured."""
    computed = resolution.rows * resolution.shape.row_length  # tokens in a step
    data = resolution.data
    n_tokens = data.validation.n_targets
    if data.split.held_out:
        n_tokens += min(tuning.TRAINING_SAMPLE, data.train.n_targets)
    return n_tokens * seconds / computed / tuning.FORWARD_SPEEDUP
