"""Draws a few samples from the current weights at regular intervals; samples.jsonl keeps them."""

from __future__ import annotations

from hornbook.files import append_line
from hornbook.generate import Sampling, make_generator, sample
from hornbook.metrics.answers import answer_prompts
from hornbook.models.base import LanguageModel
from hornbook.planning.plan import Plan
from hornbook.runs.directory import SAMPLES as FILE
from hornbook.training.callbacks.base import SpacedCallback

SHOWN = 3  # documents
SAMPLE_TOKENS = 200


class Samples(SpacedCallback):
    """Draws samples and passes them to all callbacks; the generators of training are not touched."""

    def steps(self) -> tuple[int, ...]:
        """All but the last: the report has samples of the end."""
        return tuple(n for n in super().steps() if n != self.trainer.state.total_steps)

    def post_start(self) -> None:
        """Makes up for samples before which an interruption came."""
        step, run = self.trainer.state.step, self.trainer.run
        if step not in self.steps():
            return
        if not self.trainer.ranks.on_first(lambda: any(s["step"] == step for s in run.samples)):
            self.act()

    def act(self) -> None:
        """Draws samples and passes them on; on rank 0 alone."""
        trainer = self.trainer
        with trainer.clock.paused("samples"), trainer.step.whole() as model:
            if not trainer.ranks.is_first:
                return
            texts = draw_samples(trainer.plan, model, SHOWN)
            model.train()
            step = trainer.state.step
            trainer.write(lambda path: append_line(path / FILE, {"step": step, "texts": texts}))
            trainer.each("on_samples", step, texts)


def draw_samples(plan: Plan, model: LanguageModel, n: int) -> list[str]:
    """Texts of a model: n documents, or one piece of a stream; n held-out prompts with an answer each.
    The same each time it is called."""
    generation, data = plan.config.generation, plan.data
    generator, sampling = (
        make_generator(plan.config.training.seed),
        Sampling(draws=generation.sampling),
    )
    if (template := data.corpus.origin.template) is not None:
        return answer_prompts(
            model, data.tokenizer, data.validation, n, template, generator, SAMPLE_TOKENS, sampling
        )
    samples = sample(
        model,
        data.tokenizer,
        n=n if data.documents else 1,
        max_tokens=SAMPLE_TOKENS,
        sampling=sampling,
        generator=generator,
        window=generation.window,
    )
    return [s.text for s in samples]
