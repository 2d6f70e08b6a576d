"""Draws a few samples from the current weights at regular intervals."""

from __future__ import annotations

from hornbook.generate import Sampling, make_generator, sample
from hornbook.models.base import LanguageModel
from hornbook.planning.plan import Plan
from hornbook.training.callbacks.base import SpacedCallback

SHOWN = 3  # documents
SAMPLE_TOKENS = 200


class Samples(SpacedCallback):
    """Draws samples and passes them to all callbacks; the generators of training are not touched."""

    def steps(self) -> tuple[int, ...]:
        """All but the last: the report has samples of the end."""
        return tuple(n for n in super().steps() if n != self.trainer.state.total_steps)

    def act(self) -> None:
        """Draws samples and passes them on."""
        trainer, model = self.trainer, self.trainer.step.model
        with trainer.clock.paused("samples"):
            texts = draw_samples(trainer.plan, model, SHOWN)
            model.train()
            trainer.each("on_samples", trainer.state.step, texts)


def draw_samples(plan: Plan, model: LanguageModel, n: int) -> list[str]:
    """Texts of a model: n documents, or one piece of a stream; n held-out prompts with an answer each.
    The same each time it is called."""
    generation, data = plan.config.generation, plan.data
    generator, template = make_generator(plan.config.training.seed), data.corpus.origin.template
    prompts = [prompt for prompt, _ in data.validation.prompts(data.tokenizer, n)]
    each = 1 if prompts or not data.documents else n
    samples = [
        one
        for prompt in prompts or [""]
        for one in sample(
            model,
            data.tokenizer,
            n=each,
            prompt=prompt,
            max_tokens=SAMPLE_TOKENS,
            sampling=Sampling(draws=generation.sampling),
            stop=() if template is None else template.stops,
            generator=generator,
            window=generation.window,
        )
    ]
    return [s.text for s in samples]
