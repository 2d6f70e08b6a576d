"""What a plan decides by measuring updates of a copy: the precision, and whether to compile."""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from hornbook.data.batches import Draw, build_batches
from hornbook.engine.compiled import Form, choose_form, pays_from
from hornbook.engine.device import generators_kept, told_precision
from hornbook.engine.replay import is_descent
from hornbook.engine.step import TrainStep

if TYPE_CHECKING:
    from hornbook.planning.plan import Plan

TRIAL = 1 << 12  # tokens of the updates that are tried, at most,
WORK = 1e10  # and operations, on a CPU: some tenths of a second
PAYS = 0.9  # bf16 is chosen where its step takes less than this share of the float32 step
LONGEST = 1.0  # seconds after which no further pair of steps is measured
CLEAR = 1.5  # times as fast in two pairs in a row: nor then


def choose_precision(plan: Plan) -> None:
    """Sets the precision of a plan, by a few gradients of a copy where nothing else decides."""
    chosen = told_precision(plan.config.training, plan.device)
    if chosen is None:
        with _trial(plan, "fp32") as trial:
            chosen = faster_precision(trial)
    plan.precision, plan.why_precision = chosen


def faster_precision(step: TrainStep) -> tuple[str, str]:
    """fp32 or bf16, and why: gradients are computed in pairs, the median of five after one to warm
    up, fewer where those take longer than `LONGEST` or the matter is `CLEAR`."""
    ratios: list[float] = []
    spent = 0.0
    while len(ratios) < 6 and not _is_enough(ratios, spent):
        seconds = {}
        for precision in ("fp32", "bf16"):
            begin = time.perf_counter()
            step.gradients(0, precision).item()  # waits for a GPU, too
            seconds[precision] = time.perf_counter() - begin
        spent += sum(seconds.values()) if ratios else 0.0
        ratios.append(seconds["bf16"] / seconds["fp32"])
    ratio = statistics.median(ratios[1:])
    return "bf16" if ratio < PAYS else "fp32", f"measured: bf16 takes {ratio:.2f} of fp32's time"


def _is_enough(ratios: list[float], spent: float) -> bool:
    """Whether the last two leave no doubt, or time is over. The first is of two that warm up: fp32,
    which comes first, looks slower by it than it is."""
    last = ratios[-2:]
    if len(last) == 2 and min(last) > CLEAR:
        return True
    return len(ratios) > 2 and (spent > LONGEST or max(last) < 1 / CLEAR)


def choose_compilation(plan: Plan) -> None:
    """Sets what is compiled, by the time of the run without: a few updates of a copy are measured."""
    training = plan.config.training
    asked = "no" if training.reference or training.deterministic else training.compile
    form: Form = "updates" if _in_one_call(plan) else "loss"
    seconds = 0.0
    if asked == "auto" and (form == "updates" or plan.device.type != "cpu"):
        with _trial(plan, plan.precision) as trial:
            updates = training.steps * plan.batches.batch_size / trial.batches.batch_size
            least = pays_from(form) / updates  # below it nothing more is to be known
            seconds = updates * seconds_of(trial, plan.device, least)
            if trial.span > 1 and seconds >= pays_from(form):  # what the run would do instead
                seconds = updates * _seconds_of_each(trial, plan.device)
    plan.compiled, plan.why_compiled = choose_form(form, asked, seconds, plan.device)
    if asked == "no" and (training.reference or training.deterministic):
        plan.why_compiled = "reference" if training.reference else "deterministic"
    if plan.compiled != "no" and (asked == "auto" or form == "updates"):
        _compare_compiled(plan, form, told=asked == "yes")


def _compare_compiled(plan: Plan, form: Form, *, told: bool) -> None:
    """Keeps it where it can be compiled and an update takes less time with it, or it is told to."""
    plan.compiled = "no"
    try:
        with _trial(plan, plan.precision) as trial, _trial(plan, plan.precision, form) as other:
            ratio = _seconds_of_each(other, plan.device) / _seconds_of_each(trial, plan.device)
    except (RuntimeError, OSError) as error:  # torch's compilers raise many kinds of them
        plan.why_compiled = f"it failed here: {type(error).__name__}"
        return
    plan.compiled = form if told or ratio < PAYS else "no"
    plan.why_compiled = f"{'as told; ' * told}measured: an update takes {ratio:.2f} of the time"


def _seconds_of_each(step: TrainStep, device: torch.device) -> float:
    """Of an update, as many at once as it makes. Raises RuntimeError where it cannot make them."""

    def several(call: int) -> None:
        if step.several(call * step.span) is None:
            raise RuntimeError("several updates cannot be made at once")

    return seconds_of(several, device) / step.span


def _in_one_call(plan: Plan) -> bool:
    """Whether an update is plain gradient descent, and small."""
    return is_descent(plan.config) and plan.replayed


@contextmanager
def _trial(plan: Plan, precision: str, compiled: Form = "no") -> Iterator[TrainStep]:
    """Updates of a copy, of few rows; the generators are left as they were."""
    tokens = TRIAL
    if plan.device.type == "cpu":
        tokens = min(TRIAL, int(WORK / (6 * plan.model.n_parameters)))
    rows = max(2, min(plan.batches.batch_size, tokens // plan.length))
    draw = Draw(batch_size=rows, seed=0)
    batches = build_batches(plan.train_part, plan.examples, plan.length, draw, plan.device)
    with generators_kept(plan.device):
        yield TrainStep(
            copy.deepcopy(plan.model).train(), batches, plan.config, precision, compiled
        )


def seconds_of(
    step: Callable[[int], object],
    device: torch.device,
    least: float = 0.0,
    times: int = 5,
    most: float = math.inf,
) -> float:
    """Of an update: the median of `times` after one to warm up, fewer where `most` seconds are over;
    that one where it is under `least`."""
    seconds: list[float] = []
    while len(seconds) <= times and sum(seconds) < most and not (seconds and seconds[0] < least):
        begin = time.perf_counter()
        step(len(seconds))
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:] or seconds)
