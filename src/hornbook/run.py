"""`Run`: a trained model to evaluate, score, sample and inspect. What `hornbook.train` returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import Tensor

from hornbook import arguments
from hornbook.data.corpus import Corpus
from hornbook.errors import ConfigError
from hornbook.generate import Draws, Sample, Sampling, make_generator, sample, stream
from hornbook.generate.decoder import prompt_ids
from hornbook.metrics.loss import Evaluation, Score, evaluate, score
from hornbook.metrics.text_index import TextIndex
from hornbook.metrics.typicality import HeldOutTexts
from hornbook.models.base import Window
from hornbook.process import standard_defaults, step_by_step
from hornbook.runs.directory import StoredRun
from hornbook.spelling import speaks_python
from hornbook.table import TableOf
from hornbook.tokenizers.base import UNKNOWN, Unknown

if TYPE_CHECKING:  # loaded where they are used: matplotlib is slow to import
    from hornbook.export.base import Export
    from hornbook.figures.page import Inspection


ELSEWHERE = {  # what other tools call a method -> its name here
    "generate": "sample", "predict": "sample", "eval": "evaluate", "test": "evaluate",
    "history": "log", "metrics": "report",
}  # fmt: skip


class Run(StoredRun):
    """A trained model with its tokenizer, settings, log and report. See `hornbook.load`."""

    if not TYPE_CHECKING:  # for which every name would exist

        def __getattr__(self, name: str) -> Any:
            """Raises AttributeError, with the name here of what other tools call otherwise."""
            hint = f"; it has {ELSEWHERE[name]}" if name in ELSEWHERE else ""
            raise AttributeError(f"a run has no {name!r}{hint}", name=name, obj=self)

    @classmethod
    def of(cls, run: StoredRun) -> Run:
        """A stored run with the methods of this class."""
        return cls(run.path, run.facts, run.config)

    @speaks_python
    @standard_defaults()
    def evaluate(
        self,
        split: str = "val",
        *,
        corpus: str | Path | Corpus | None = None,
        encoding: str | None = None,
        unknown: Unknown = "error",
    ) -> Evaluation:
        """The loss over a whole part (train, val, test) or another text, every token once.

        encoding: of the other text; detected from it if left out (`StoredRun.other_text`).
        """
        split = arguments.choice(split, "split", ("train", "val", "test"))
        unknown = arguments.choice(unknown, "unknown", UNKNOWN)
        if corpus is not None and not isinstance(corpus, Corpus):
            corpus = arguments.path(corpus, "corpus")
        part = self.part(split, corpus=corpus, encoding=encoding, unknown=unknown)
        return evaluate(self.model, part)

    @speaks_python
    @standard_defaults()
    def score(self, texts: str | Iterable[str], *, unknown: Unknown = "error") -> TableOf[Score]:
        """How surprising the model finds each text (`metrics.loss.Score`); printed as a table.

        texts: one text, or any iterable of them: a list, a pandas Series, a generator.
        Raises ConfigError that names the first that is no text.
        """
        found = arguments.texts(texts, "texts")
        unknown = arguments.choice(unknown, "unknown", UNKNOWN)
        return TableOf(score(self.model, self.tokenizer, found, unknown=unknown))

    @speaks_python
    def encode(self, text: str, *, unknown: Unknown = "error") -> Tensor:
        """The ids of a text as the model reads them, (1, T) int64, after the id that starts a document:
        `run.model(run.encode("emma"))` are the logits of each position."""
        text = arguments.text(text, "text")
        ids = prompt_ids(self.tokenizer, text, arguments.choice(unknown, "unknown", UNKNOWN))
        return torch.tensor([ids], dtype=torch.int64, device=self.model.device)

    def score_data(self, scored: Score, *, tokens: bool = False) -> dict[str, Any]:
        """A score as plain data, as `hornbook score --json` prints it; tokens: with each of them."""
        texts = self.held_out_texts
        result: dict[str, Any] = {
            "text": scored.text,
            "total_nats": scored.total,
            "mean_nats": scored.mean,
            "bits_per_byte": scored.bits_per_byte,
            "tokens": scored.tokens,
            "percentile": None if texts is None else round(texts.percentile(scored), 1),
        }
        if tokens:
            symbols = list(scored.symbols)
            if self.tokenizer.end_id is not None:  # spelled as nothing in a text is
                symbols[-1] = self.tokenizer.end
            result["symbols"], result["nats"] = symbols, scored.token_nats
        return result

    @cached_property
    def held_out_texts(self) -> HeldOutTexts | None:
        """The losses of held-out texts, whose `percentile(score)` says how typical a text is.

        None where the report has none: an earlier version trained the run, or it is not finished.
        """
        texts = self.report.get("held_out_texts")
        return None if texts is None else HeldOutTexts.from_json(texts)

    @speaks_python
    @standard_defaults()
    def answer(
        self,
        prompt: str,
        *,
        max_tokens: int = 500,
        temperature: float = 0.0,
        seed: int | torch.Generator | None = None,
    ) -> str:
        """The answer to a prompt, of a run that was trained on prompts and answers.

        temperature: 0 takes the likeliest tokens. Raises ConfigError for other runs.
        """
        if self.template is None:
            raise ConfigError(
                f"{self.path}: was not trained on prompts and answers; sample(prompt=...) continues a "
                "text"
            )
        text = self.template.prompt(arguments.text(prompt, "prompt"))
        pieces = self.stream(
            prompt=text, stop=self.template.stops, max_tokens=max_tokens, temperature=temperature,
            seed=seed,
        )  # fmt: skip
        return self.template.answer_of("".join(pieces))

    @speaks_python
    @standard_defaults()
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
        stop: str | Iterable[str] = (),
        seed: int | torch.Generator | None = None,
        unknown: Unknown = "error",
        sampling: Draws | None = None,
        window: Window | None = None,
    ) -> TableOf[Sample]:
        """n samples (`generate.sample`); the same seed gives the same samples. Printed as a table.

        stop: one text, or several; a sample ends before the first of them.
        seed: a generator draws other samples at each call; None draws from a fresh one.
        sampling: "keyed", or "torch" for the notes' samples (`generate.Sampling`). window: "half" or
        "sliding", for text beyond the context (`models/cached.py`). None: what the run's settings say.
        """
        if isinstance(n, str):
            raise ConfigError(
                f"n: found {n!r} (str), expected a whole number; the beginning of a sample is given by "
                "prompt="
            )
        n = arguments.integer(n, "n")
        chosen = _sampling(temperature, top_k, top_p, min_p, self._draws(sampling))
        options = self._options(prompt, max_tokens, chosen, stop, seed, unknown, window)
        return TableOf(sample(self.model, self.tokenizer, n=n, **options))

    @speaks_python
    def stream(
        self,
        prompt: str = "",
        *,
        max_tokens: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        stop: str | Iterable[str] = (),
        seed: int | torch.Generator | None = None,
        unknown: Unknown = "error",
        sampling: Draws | None = None,
        window: Window | None = None,
    ) -> Iterator[str]:
        """The text of `sample(1)` with the same options, piece by piece, without the prompt."""
        chosen = _sampling(temperature, top_k, top_p, min_p, self._draws(sampling))
        options = self._options(prompt, max_tokens, chosen, stop, seed, unknown, window)
        return step_by_step(stream(self.model, self.tokenizer, **options))

    def _options(
        self,
        prompt: str,
        max_tokens: int,
        sampling: Sampling,
        stop: str | Iterable[str],
        seed: int | torch.Generator | None,
        unknown: Unknown,
        window: Window | None,
    ) -> dict[str, Any]:
        """What `sample` and `stream` of `generate` share, checked."""
        return {
            "prompt": arguments.text(prompt, "prompt"),
            "max_tokens": arguments.integer(max_tokens, "max_tokens"),
            "sampling": sampling,
            "stop": arguments.texts(stop, "stop"),
            "generator": _generator(seed),
            "unknown": arguments.choice(unknown, "unknown", UNKNOWN),
            "window": self._window(window),
            "whole_prompt": self.template is not None,
        }

    def _draws(self, sampling: Draws | None) -> Draws:
        found = sampling or self.config.generation.sampling
        draws: Draws = arguments.choice(found, "sampling", get_args(Draws))
        return draws

    def _window(self, window: Window | None) -> Window:
        found = window or self.config.generation.window
        chosen: Window = arguments.choice(found, "window", get_args(Window))
        return chosen

    @speaks_python
    @standard_defaults()
    def mark_copies(self, texts: str | Iterable[str]) -> list[bool]:
        """Whether each text is a training document, or appears in the training part of a stream.

        texts: as for `score`. Raises DataError where the corpus is gone or has changed.
        """
        return [text in self._text_index for text in arguments.texts(texts, "texts")]

    @cached_property
    def _text_index(self) -> TextIndex:
        return TextIndex(self.split())

    @speaks_python
    @standard_defaults()
    def inspect(
        self,
        folder: str | Path | None = None,
        *,
        text: str | None = None,
        on_message: Callable[[str], None] = lambda line: None,
    ) -> Inspection:
        """Draws every figure that applies and a page with all of them (`figures.page.inspect`)."""
        from hornbook.figures.page import inspect

        where = None if folder is None else Path(arguments.path(folder, "folder"))
        text = None if text is None else arguments.text(text, "text")
        return inspect(self, where, text, on_message)

    @speaks_python
    @standard_defaults()
    def export(
        self,
        to: str,
        out: str | Path | None = None,
        *,
        dtype: str | None = None,
        verify: bool = True,
        overwrite: bool = False,
    ) -> Export:
        """Writes the model for another program (`export.targets.export`)."""
        from hornbook.export.targets import export

        where = None if out is None else Path(arguments.path(out, "out"))
        overwrite = arguments.truth(overwrite, "overwrite")
        return export(self, to, where, dtype=dtype, verify=verify, overwrite=overwrite)

    @speaks_python
    @standard_defaults()
    def push(
        self,
        repository: str,
        *,
        dtype: str | None = None,
        private: bool = False,
        verify: bool = True,
    ) -> str:
        """Uploads the model to "user/name" on Hugging Face's hub (`export.push.push`); its address."""
        from hornbook.export.push import push

        name = arguments.text(repository, "repository")
        return push(self, name, dtype=dtype, private=private, verify=verify)

    def _repr_html_(self) -> str:
        from hornbook.figures.page import summary

        return summary(self)


def _sampling(
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
    draws: Draws,
) -> Sampling:
    return Sampling(
        temperature=arguments.number(temperature, "temperature"),
        top_k=None if top_k is None else arguments.integer(top_k, "top_k"),
        top_p=None if top_p is None else arguments.number(top_p, "top_p"),
        min_p=None if min_p is None else arguments.number(min_p, "min_p"),
        draws=draws,
    )


def _generator(seed: int | torch.Generator | None) -> torch.Generator:
    """seed: a generator is used as it is."""
    if isinstance(seed, torch.Generator):
        return seed
    return make_generator(None if seed is None else arguments.integer(seed, "seed"))
