"""The public API: train, resume, load, and a `Run` with what one does with it.

The command line, notebooks and lessons go through this module, so that a sample drawn on the command
line and in Python is the same sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from hornbook.config import Nested
from hornbook.generate import Sample, Sampling, make_generator, sample, stream
from hornbook.metrics.loss import Evaluation, Score, evaluate, score
from hornbook.planning.request import read_request
from hornbook.runs.directory import StoredRun
from hornbook.tokenizers.base import Unknown
from hornbook.training import session
from hornbook.training.callbacks.base import Callback


class Run(StoredRun):
    """A trained model with its tokenizer, settings, log and figures. See `hornbook.load`."""

    def evaluate(
        self, split: str = "val", *, corpus: str | Path | None = None, unknown: Unknown = "error"
    ) -> Evaluation:
        """The loss over a whole part (train, val, test) or another text, every token once."""
        return evaluate(self.model, self.part(split, corpus=corpus, unknown=unknown))

    def score(self, texts: str | Sequence[str], *, unknown: Unknown = "error") -> list[Score]:
        """How surprising the model finds each text (`evaluate.Score`)."""
        texts = [texts] if isinstance(texts, str) else texts
        return score(self.model, self.tokenizer, texts, unknown=unknown)

    def sample(
        self,
        n: int = 1,
        *,
        prompt: str = "",
        max_tokens: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        stop: Sequence[str] = (),
        seed: int | torch.Generator | None = None,
        unknown: Unknown = "error",
    ) -> list[Sample]:
        """n samples (`generate.sample`); the same seed gives the same samples.

        seed: a generator draws other samples at each call; None draws from a fresh one.
        """
        return sample(
            self.model,
            self.tokenizer,
            n=n,
            prompt=prompt,
            max_tokens=max_tokens,
            sampling=Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p),
            stop=stop,
            generator=seed if isinstance(seed, torch.Generator) else make_generator(seed),
            unknown=unknown,
        )

    def stream(
        self,
        *,
        prompt: str = "",
        max_tokens: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        stop: Sequence[str] = (),
        seed: int | torch.Generator | None = None,
        unknown: Unknown = "error",
    ) -> Iterator[str]:
        """The text of `sample(1)` with the same options, piece by piece, without the prompt."""
        return stream(
            self.model,
            self.tokenizer,
            prompt=prompt,
            max_tokens=max_tokens,
            sampling=Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p),
            stop=stop,
            generator=seed if isinstance(seed, torch.Generator) else make_generator(seed),
            unknown=unknown,
        )

    def mark_copies(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is a training document, or appears in the training part of a stream.

        Raises DataError where the corpus is gone or has changed.
        """
        split = self.split()
        if split.documents:
            known = frozenset(split.train)
            return [text in known for text in texts]
        return [text in split.train[0] for text in texts]

    def _repr_html_(self) -> str:
        from hornbook.figures.page import summary  # matplotlib only where it is needed

        return summary(self)


def load(path: str | Path) -> Run:
    """The run in a directory. Raises RunError where there is none."""
    return Run.load(path)


def train(
    corpus: str | None = None,
    *,
    model: str | None = None,
    preset: str | Nested | None = None,
    steps: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    precision: str | None = None,
    minutes: float | None = None,
    began: float | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Trains a model on a corpus (a registry name or a path) and returns its run.

    preset: a name, or sections of fields in place of one.
    settings: dotted fields, such as `{"model.n_layer": 4}`, or sections of fields, as in TOML.
    minutes: a time budget: training ends after so many, and chooses size, context, batch and steps
        for it, unless they are requested. Counted from `began` (time.monotonic()), by default from
        this call.
    out: the run directory to make; `runs/<corpus>-<model>` if left out.
    Seeds torch's global generator. Raises ConfigError, DataError or RunError; Interrupted after the
    state was saved on Ctrl-C.
    """
    request = read_request(
        corpus, model=model, preset=preset, settings=settings, began=began, steps=steps, seed=seed,
        device=device, precision=precision, minutes=minutes,
    )  # fmt: skip
    stored = session.train(request, out=out, callbacks=callbacks)
    return Run(stored.path, stored.facts, stored.config)


def resume(
    path: str | Path,
    *,
    steps: int | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Continues an interrupted run, or trains a finished one to more `steps` in total.

    settings: dotted; learning rates and clipping of `optim` may be changed, for a run that diverged.
    Raises RunError where there is nothing to resume from or another process trains it, DataError
    where the corpus has changed.
    """
    stored = session.resume(path, steps=steps, settings=settings, callbacks=callbacks)
    return Run(stored.path, stored.facts, stored.config)
