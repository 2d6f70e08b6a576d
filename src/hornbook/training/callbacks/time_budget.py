"""A time budget while it is spent: how many steps still fit, by the seconds that the last ones took.

The learning rate continues from where it is in its schedule, which gets faster or slower.
"""

from __future__ import annotations

from dataclasses import replace

from hornbook.planning.decide.time_budget import TimeBudget
from hornbook.runs.directory import StoredRun
from hornbook.training.callbacks.base import NOTHING, Agreement, Callback, spaced_steps

COUNTED_AT = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9)  # shares of the time for steps
FEWEST_CALLS = 4  # since the last count, at least, to go by
UNUSUAL = 3.0  # times as long as usual: not to go by
NOTICEABLE = 0.005  # share by which the two counts differ at least, or nothing is changed


class TimeBudgetCallback(Callback):
    """Fits the steps of a run to the time that is left.

    budget: with the seconds that evaluations and samples really take, as they become known.
    """

    def __init__(self, budget: TimeBudget) -> None:
        self.budget = budget
        self.counts: list[float] = []  # when steps are counted again, by the budget's clock
        self.calls: list[tuple[int, float]] = []  # steps and their seconds since the last count
        self._last = (0, 0.0)  # steps made, and seconds, at the last count
        self._begin = (0, 0.0)

    def on_start(self, run: StoredRun, step: int, total_steps: int) -> None:
        """The first step is about to be made."""
        now, left = self.budget.clock(), self.budget.seconds_left
        self.counts = [now + share * left for share in COUNTED_AT]

    def propose(self) -> Agreement:
        """Counts the steps that fit again where it is time to."""
        if self.counts and self.budget.clock() > self.counts[0]:
            return Agreement(total_steps=self.count())
        return NOTHING

    def pre_step(self, step: int) -> None:
        """Keeps when the step begins."""
        self._begin = (step, self.trainer.clock.read())

    def post_step(self, step: int) -> None:
        """Keeps what the steps took."""
        first, seconds = self._begin
        self.calls.append((step + 1 - first, self.trainer.state.seconds - seconds))

    def count(self) -> int:
        """As many steps as fit, by those since the last count; 0 where that is about as many."""
        state, plan = self.trainer.state, self.trainer.plan
        if len(self.calls) < FEWEST_CALLS:
            return 0
        last = self.trainer.clock.last  # what one took is what the next will take
        self.budget = replace(
            self.budget,
            evaluation=last.get("evaluation", self.budget.evaluation),
            samples=last.get("samples", self.budget.samples),
        )
        saving = last.get("saving", 0.0)
        seconds = self.trainer.clock.read()
        each = self.seconds_each(state.step, seconds)
        now = self.budget.clock()
        self.counts = [due for due in self.counts if due > now]
        self._last, self.calls = (state.step, seconds), []
        training, total = plan.config.training, state.total_steps
        for _ in range(2):  # of fewer steps, fewer evaluations may be left
            evaluations = sum(at > state.step for at in spaced_steps(total, training.eval_count))
            samples = sum(
                state.step < at < total for at in spaced_steps(total, training.sample_count)
            )
            besides = evaluations * self.budget.evaluation + samples * self.budget.samples
            besides += saving  # of the new total
            total = state.step + max(1, self.budget.steps(each, besides))
            total = min(total, plan.max_steps or total)
        return total if abs(total - state.total_steps) > NOTICEABLE * state.total_steps else 0

    def seconds_each(self, step: int, seconds: float) -> float:
        """Seconds of a step since the last count, but for calls that took several times as long as
        the fastest quarter: what is compiled or warmed up once."""
        by_call = sorted(took / n for n, took in self.calls)
        most = UNUSUAL * by_call[len(by_call) // 4]
        usual = [(n, took) for n, took in self.calls if took <= most * n]
        besides = seconds - self._last[1] - sum(took for _, took in self.calls)
        each = sum(took for _, took in usual) / sum(n for n, _ in usual)
        return each + max(0.0, besides) / (step - self._last[0])
