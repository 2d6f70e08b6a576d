"""A few samples of the model as it is, now and then."""

from __future__ import annotations

from hornbook.generate import make_generator, sample
from hornbook.training.callbacks.base import Callback, following, spaced_steps

SHOWN = 3  # documents
SAMPLE_TOKENS = 200


class Samples(Callback):
    """Draws samples and passes them to all callbacks; the generators of training are not touched."""

    def __init__(self, count: int) -> None:
        self.count = count

    def _steps(self) -> tuple[int, ...]:
        total = self.trainer.state.total_steps
        return tuple(n for n in spaced_steps(total, self.count) if n != total)

    def next_due(self, step: int) -> int | None:
        """The next samples."""
        return following(self._steps(), step)

    def post_step(self, step: int) -> None:
        """Draws samples where they are due."""
        if step + 1 in self._steps():
            with self.trainer.clock.paused("samples"):
                self.show(step + 1)

    def show(self, step: int) -> None:
        """Draws samples and passes them on."""
        plan, model = self.trainer.plan, self.trainer.step.model
        samples = sample(
            model,
            plan.data.tokenizer,
            n=SHOWN if plan.data.documents else 1,
            max_tokens=SAMPLE_TOKENS,
            generator=make_generator(plan.config.training.seed),
        )
        model.train()
        self.trainer.each("on_samples", step, [s.text for s in samples])
