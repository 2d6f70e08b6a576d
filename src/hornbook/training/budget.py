"""The one dial is time: from minutes to a model, its batches and its updates.

What a size reaches after how many updates was measured before, on the names and on Shakespeare
(`benchmarks/budget.py`), and is kept here as a law, loss = a + b * updates^-c. How long an update takes
here is measured, for a second or two, of the sizes that may promise most; the one that promises the
lowest loss within the minutes is taken. What the report will take is tried beforehand. On the way the
updates that are left are counted anew, by what others took; the schedule goes on from where it is.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hornbook.config import Nested, RunConfig, merge
from hornbook.data.part import fitting_context
from hornbook.errors import ConfigError
from hornbook.models.registry import build_model
from hornbook.optim.schedules import share_over
from hornbook.run import parse_config
from hornbook.training.compiled import pays_from
from hornbook.training.device import generators_kept
from hornbook.training.fitting import EPOCHS
from hornbook.training.plan import DEFAULT_MODEL, Plan, make_plan
from hornbook.training.report import seconds_of_report
from hornbook.training.step import TrainStep
from hornbook.training.trials import choose_precision, seconds_of

FORWARD = 3.0  # how much faster tokens are scored than trained on, before that is measured
EVALUATING = 0.1  # share of the minutes at most
MEASURING = 0.1  # share of the minutes after which nothing more is measured,
LONGEST = 3.0  # or so many seconds
UPDATES = 12  # of a size that are measured, so that a moment's other work decides nothing,
ENOUGH = 0.4  # or for so many seconds
GROWTH = 0.75  # an update of n times the operations takes about n^0.75 of the time
PER_TOKEN = 30  # parameters for each token of a small text, beyond which larger sizes were worse
# shares of the time of updates, at which those that are left are counted anew
COUNTED = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9)
APART = 0.005  # by which the two counts differ at least, or it is left as it is


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


class TooShortError(ConfigError):
    """Too few minutes. needed: how many would do."""

    def __init__(self, minutes: float, needed: float, what: str) -> None:
        self.needed = math.ceil(needed * 10 + 0.5) / 10
        super().__init__(
            f"minutes: found {minutes:g}, too few here for {what}; give {self.needed:g} or more"
        )


@dataclass
class Budget:
    """Seconds to end within, from `began` (time.monotonic()) on.

    evaluation, sampling, report: seconds that an evaluation takes, that samples now and then take, and
    what is written at the end.
    """

    seconds: float
    began: float
    evaluation: float = 0.0
    sampling: float = 0.0
    report: float = 0.0
    counts: list[float] = field(default_factory=list)  # when updates are to be counted anew
    counted_at: tuple[int, float] = (0, 0.0)  # updates and their seconds, when they last were

    @property
    def left(self) -> float:
        """Seconds until the report has to begin."""
        return max(0.0, self.seconds - (time.monotonic() - self.began) - self.report)

    @property
    def measuring(self) -> float:
        """Seconds for measuring."""
        return min(LONGEST, MEASURING * self.seconds)

    def fits(self, each: float, besides: float) -> int:
        """Updates of so many seconds each that can still be made."""
        return int((self.left - besides) / max(each, 1e-9))

    def start(self) -> None:
        """The first update is about to be made."""
        now, left = time.monotonic(), self.left
        self.counts = [now + share * left for share in COUNTED]

    def is_due(self) -> bool:
        """Whether it is time to count anew."""
        return bool(self.counts) and time.monotonic() > self.counts[0]

    def counted(
        self, config: RunConfig, done: int, seconds: float, most: float
    ) -> RunConfig | None:
        """The settings with as many updates as fit, by what those took that were made since the last
        count; the schedule goes on from where it is. None where it is about as many.

        done, seconds: updates, and what they took. most: updates in all.
        """
        before, spent = self.counted_at
        if done == before:
            return None
        self.counts = [due for due in self.counts if due > time.monotonic()]
        self.counted_at = done, seconds
        training, optim = config.training, config.optim
        steps = training.steps
        for _ in range(2):  # of fewer updates, fewer evaluations may be left
            evaluations = sum(at > done for at in spread(steps, training.evaluations))
            samplings = sum(done < at < steps for at in spread(steps, training.samplings))
            besides = evaluations * self.evaluation + samplings * self.sampling
            each = (seconds - spent) / (done - before)
            steps = int(min(most, done + max(1, self.fits(each, besides))))
        if abs(steps - training.steps) <= APART * training.steps:
            return None
        pace = done, share_over(optim, done, training.steps)
        paces = (*(known for known in optim.paces if known[0] < done), pace)
        return config.model_copy(
            update={
                "training": training.model_copy(update={"steps": steps}),
                "optim": optim.model_copy(update={"paces": paces}),
            }
        )


def spread(steps: int, times: int) -> set[int]:
    """`times` of the updates, evenly spread, the last one among them."""
    return {max(1, round(steps * (i + 1) / times)) for i in range(min(times, steps))}


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
        return plan
    name, sized, why = "", plan, ""
    if free:
        name, sized, seconds, why = _best_size(plan, budget, asked)
    else:
        seconds = _measure(plan, budget.measuring)
    steps, evaluations = _fitting(sized, asked, minutes, budget, seconds)
    precision = plan.config.training.precision
    if free:
        precision = asked.get("training", {}).get("precision", "auto")
        chosen = _of_size(SIZES[plan.corpus.kind][name], plan, steps)
        told = {"training": {"precision": sized.precision}}  # it is known by now
        plan = make_plan(corpus, preset=chosen, settings=merge(asked, told))
        plan.why_precision = sized.why_precision
    most = plan.most_updates or steps
    fitted = {"steps": min(steps, most), "evaluations": evaluations, "minutes": minutes}
    training = plan.config.training.model_copy(update={**fitted, "precision": precision})
    plan.config = plan.config.model_copy(update={"training": training})
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
    begin = time.monotonic()

    def promised(name: str) -> float:
        return sizes[name].promised(_updates(plans[name], budget, _estimate(name, work, seconds)))

    best = next(iter(sizes))
    while best not in seconds:
        spent = time.monotonic() - begin
        if seconds and spent > budget.measuring:
            best = min(seconds, key=promised)
            break
        choose_precision(plans[best])
        seconds[best] = _measure(plans[best], budget.measuring - spent)
        best = min(fit or [best], key=promised)
    others = ", ".join(
        f"{name} {promised(name):.2f} ({seconds[name] * 1e3:.0f} ms an update)"
        for name in sizes
        if name in seconds
    )
    why = f"size {best}; promised on a text of this kind, without options of the model: {others}; "
    return best, plans[best], seconds[best], why


def _updates(plan: Plan, budget: Budget, seconds: float) -> float:
    """Updates that a size can make, in the time and of the text."""
    left = budget.left / seconds
    return min(left, plan.most_updates or left)


def _estimate(name: str, work: Mapping[str, float], seconds: Mapping[str, float]) -> float:
    """Seconds of an update: as measured, or by the size that is nearest in operations."""
    near = min(seconds, key=lambda other: abs(math.log(work[other] / work[name])))
    return seconds[near] * float((work[name] / work[near]) ** GROWTH)


def _sized(size: Size, plan: Plan, asked: Nested) -> Plan:
    """The plan with a model and batches of a size, and with what is asked for besides."""
    free = {"training": {"precision": "auto"}}  # the look at the text was not
    layers = plan.config.model_dump(), free, _of_size(size, plan, 1000), asked
    config = parse_config(merge(*layers))
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
    known = plan.config.training.evaluations if "evaluations" in asked.get("training", {}) else None
    computed = plan.batches.batch_size * plan.length  # tokens in an update
    budget.evaluation = plan.val_part.n_targets * seconds / computed / FORWARD
    budget.report = budget.evaluation
    _refuse_too_short(budget, minutes, seconds, known or 2)
    budget.evaluation, budget.report = seconds_of_report(plan)
    most = int(EVALUATING * budget.left / max(budget.evaluation, 1e-9))
    evaluations = known or max(2, min(plan.config.training.evaluations, most))
    _refuse_too_short(budget, minutes, seconds, evaluations)
    return budget.fits(seconds, evaluations * budget.evaluation), evaluations


def _refuse_too_short(budget: Budget, minutes: float, seconds: float, evaluations: int) -> None:
    """Raises TooShortError where no two updates and so many evaluations fit."""
    besides = evaluations * budget.evaluation
    if budget.fits(seconds, besides) < 2:
        spent = time.monotonic() - budget.began
        needed = (spent + budget.report + besides + 2 * seconds) / 60
        what = f"two updates and {evaluations} evaluations"
        raise TooShortError(minutes, needed, what)
