"""A few samples of the model as it is, now and then."""

from __future__ import annotations

from hornbook.generate import make_generator, sample
from hornbook.models.base import LanguageModel
from hornbook.planning.plan import Plan
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
        model = self.trainer.step.model
        texts = draw_samples(self.trainer.plan, model, SHOWN)
        model.train()
        self.trainer.each("on_samples", step, texts)


def draw_samples(plan: Plan, model: LanguageModel, n: int) -> list[str]:
    """Texts of a model: n documents, or one piece of a stream. The same each time it is called."""
    samples = sample(
        model,
        plan.data.tokenizer,
        n=n if plan.data.documents else 1,
        max_tokens=SAMPLE_TOKENS,
        generator=make_generator(plan.config.training.seed),
    )
    return [s.text for s in samples]
