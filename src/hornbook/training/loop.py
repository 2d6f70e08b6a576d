"""The training loop: step, hooks, end. What happens beside the steps is in `callbacks/`."""

from __future__ import annotations

from contextlib import nullcontext

from hornbook.machine import available_memory, keep_freed_memory
from hornbook.stages import TRAINING, stage
from hornbook.training.callbacks.base import NOTHING, Agreement, TrainerBase
from hornbook.training.clock import StepClock
from hornbook.training.faults import explained
from hornbook.training.interrupts import Interrupted, collected_signals


class Trainer(TrainerBase):
    """Makes the steps of a plan, from where its state is to the last."""

    def train(self) -> None:
        """Trains. Raises Interrupted on the first Ctrl-C or SIGTERM, after the state was saved, and
        RunError where the loss is not finite or memory runs out."""
        memory = self.plan.memory
        ample = memory is None or memory.is_small(available_memory())
        with keep_freed_memory() if ample else nullcontext(), explained(self):
            self.step.model.train()
            with collected_signals(self.signals, launched=self.ranks.launched):
                self.clock = StepClock(self.state.seconds, self.now)
                self.each("on_start", self.run, self.state.step, self.state.total_steps)
                self.each("post_start")
                self.agree()
                first = self.state.step
                with stage(TRAINING):
                    while not self.state.finished:
                        self.each("pre_step", self.state.step)
                        if self.state.step == first:  # something may be compiled
                            with stage("the first step"):
                                self.advance()
                        else:
                            self.advance()
                        self.each("post_step", self.state.step - 1)
                        self.agree()
            self.each("on_end")

    def advance(self) -> None:
        """Makes one step, or several in one call where nothing is due between them."""
        state = self.state
        due = (callback.next_due(state.step) for callback in self.callbacks)
        until = min((n for n in due if n is not None), default=state.total_steps)
        before = self.ranks.seconds
        state.pending += (made := self.step.advance(state.step, min(until, state.total_steps)))
        state.communication += self.ranks.seconds - before
        state.step += len(made)
        state.tokens = round(state.step * self.plan.tokens_per_step)
        state.seconds = self.clock.read()

    def agree(self) -> None:
        """Acts on what one process alone may know: all processes do, after the same step.

        On a signal the state is saved; raises Interrupted.
        """
        state = self.state
        found = [Agreement(signal=self.signals[0])] if self.signals else []
        if not state.finished:
            proposals = (callback.propose() for callback in self.callbacks)
            found += [proposal for proposal in proposals if proposal is not NOTHING]
        agreed = Agreement(*map(max, zip(*found, strict=True))) if found else NOTHING
        if self.ranks.many:
            agreed = Agreement(*self.ranks.max(agreed))
        if agreed.signal:
            self.each("on_interrupt")
            raise Interrupted(self.run, state.step, agreed.signal)
        if agreed.total_steps:
            state.schedule = state.schedule.with_total(state.step, agreed.total_steps)
            self.each("on_total_steps", agreed.total_steps)
        elif agreed.save:
            self.each("on_save_due")
