"""Answers to held-out prompts: sampled ones, and how many of the likeliest are exactly right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from hornbook.data.part import Part
from hornbook.data.template import Template
from hornbook.generate import Sampling, sample
from hornbook.generate.stops import cut_at_stop
from hornbook.models.base import LanguageModel
from hornbook.stages import tracked
from hornbook.tokenizers import Tokenizer
from hornbook.tokenizers.base import Written

PROMPTS = 200  # at most
TOKENS = 4000  # of all answers together, at most


@dataclass(frozen=True)
class ExactAnswers:
    """How many of `prompts` held-out prompts were answered exactly."""

    exact: int
    prompts: int

    @property
    def share(self) -> float:
        """The share of exact answers."""
        return self.exact / max(1, self.prompts)

    def to_json(self) -> dict[str, Any]:
        """As it is kept in report.json."""
        return asdict(self)


def answer_prompts(
    model: LanguageModel,
    tokenizer: Tokenizer,
    part: Part,
    n: int,
    template: Template,
    generator: torch.Generator,
    max_tokens: int,
    sampling: Sampling | None = None,
) -> list[str]:
    """Texts of n prompts of a part, evenly spaced, each with a sampled answer."""
    return [
        one.text
        for prompt, _ in part.prompts(tokenizer, n)
        for one in sample(
            model, tokenizer, prompt=prompt, max_tokens=max_tokens, sampling=sampling,
            stop=template.stops, generator=generator, whole_prompt=True,
        )
    ]  # fmt: skip


def exact_answers(
    model: LanguageModel,
    tokenizer: Tokenizer,
    part: Part,
    stops: Sequence[str],
    most: int = PROMPTS,
    most_tokens: int = TOKENS,
) -> ExactAnswers | None:
    """Greedy answers to prompts of a part, evenly spaced, beside the first answer of each document.

    stops: what ends an answer, besides the end of its document. None of a part without answers.
    """
    expected = part.prompts(tokenizer, most)
    if not expected:
        return None
    lengths = [len(tokenizer.encode(answer, unknown="skip")) for _, answer in expected]
    while sum(lengths) > most_tokens and len(lengths) > 1:
        expected, lengths = expected[::2], lengths[::2]
    exact, was_training = 0, model.training
    for i in tracked("answering held-out prompts", range(len(expected))):
        prompt, answer = expected[i]
        (found,) = sample(
            model, tokenizer, prompt=prompt, max_tokens=lengths[i] + 1, stop=stops,
            sampling=Sampling(temperature=0), seed=0, whole_prompt=True,
        )  # fmt: skip
        text = found.text.removeprefix(found.prompt)
        answer = answer.shown if isinstance(answer, Written) else answer
        exact += found.finished and text == cut_at_stop(answer, stops)[0]
    model.train(was_training)
    return ExactAnswers(exact, len(expected))
