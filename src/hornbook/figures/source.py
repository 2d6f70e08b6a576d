"""What figures are made of: a run's texts as far as they can still be read, batches, probe records."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from hornbook.data.batches import Draw, build_batches
from hornbook.data.part import Part, Split
from hornbook.errors import DataError, HornbookError
from hornbook.generate import make_generator, sample
from hornbook.metrics.loss import batch_loss
from hornbook.metrics.probes import Probe
from hornbook.metrics.text_index import Training
from hornbook.models.base import LanguageModel
from hornbook.runs.directory import StoredRun
from hornbook.runs.probes import read_probes

PROBED = 2048  # predictions
STREAM_TEXT = 120  # symbols of a stream that are shown where no text is given
DOCUMENTS_SHOWN = 4


class DoesNotApplyError(HornbookError):
    """A figure that this run has nothing for, and why in one line."""


@dataclass(frozen=True)
class Source:
    """The texts of a run. split: None where the corpus is gone or changed, and `missing` says so."""

    run: StoredRun
    split: Split | None
    missing: str

    @cached_property
    def training(self) -> Training:
        """The training part, to ask for copies. Raises DoesNotApplyError without the corpus."""
        if self.split is None:
            raise DoesNotApplyError(self.missing)
        return Training(self.split)

    @cached_property
    def held_out(self) -> tuple[str, ...]:
        """Validation texts; the model's own samples where the corpus is gone."""
        if self.split is not None:
            return self.split.validation
        n = 100 if self.run.documents else 1
        samples = sample(
            self.run.model, self.run.tokenizer, n=n, max_tokens=500, generator=make_generator(0)
        )
        return tuple(s.text for s in samples if len(s.text) > 1) or ("",)

    @cached_property
    def part(self) -> Part:
        """The held-out texts as tokens."""
        split = self.split or Split((), self.held_out, (), documents=self.run.documents)
        return split.part("val", self.run.tokenizer, unknown="skip")

    @cached_property
    def whole(self) -> Part:
        """All texts as tokens; the held-out ones where the corpus is gone."""
        if self.split is None:
            return self.part
        everything = self.split.everything
        if self.run.documents:
            return Part.of_documents(everything, self.run.tokenizer, unknown="skip")
        return Part.of_stream("".join(everything), self.run.tokenizer, unknown="skip")

    @cached_property
    def text(self) -> str:
        """What is shown where no text is given: some documents, or a stretch of a stream."""
        if not self.run.documents:
            whole = self.held_out[0]
            start = whole.find("\n", 0, 200) + 1  # a line from its beginning
            return whole[start : start + STREAM_TEXT].strip("\n") or whole
        longest = sorted(self.held_out[:50], key=len)[-DOCUMENTS_SHOWN - 5 : -5]
        return "\n".join(longest or self.held_out[:DOCUMENTS_SHOWN])

    @cached_property
    def probe(self) -> Probe:
        """What goes through the kept weights and their gradients on held-out text, nothing changed.

        Raises DoesNotApplyError for a model of counts.
        """
        trained(self.run)
        model = copy.deepcopy(self.run.model)
        model.zero_grad(set_to_none=True)
        with Probe(model) as probe:
            batch_loss(model, *batch(self.run, PROBED)).backward()  # type: ignore[no-untyped-call]
        return probe


_SOURCES: WeakKeyDictionary[StoredRun, Source] = WeakKeyDictionary()


def source(run: StoredRun) -> Source:
    """The texts of a run, read once."""
    if run not in _SOURCES:
        try:
            _SOURCES[run] = Source(run, run.split(), "")
        except HornbookError as error:
            missing = f"the corpus cannot be read ({str(error).splitlines()[0].partition('. ')[0]})"
            _SOURCES[run] = Source(run, None, missing)
    return _SOURCES[run]


def trained(run: StoredRun) -> None:
    """Raises DoesNotApplyError for a model that is fitted rather than trained."""
    if run.model.fitted:
        raise DoesNotApplyError(
            "a model of counts is fitted in one pass: it has no gradients or units"
        )


def batch(run: StoredRun, tokens: int) -> tuple[Tensor, Tensor]:
    """ids and targets of about so many predictions, in the form the model was trained on."""
    model, part = run.model, source(run).part
    asked = run.config.training.examples
    examples = model.examples if asked == "auto" else asked
    length = model.context_length
    if model.sliding and examples == "sequences":
        length = max(64, 4 * length)
    if examples == "sequences":
        length = min(length, part.n_targets)
    rows = max(1, tokens // (length if examples == "sequences" else 1))
    return build_batches(part, examples, length, Draw(batch_size=rows, seed=0)).batch(0)


def records(run: StoredRun, kind: str) -> list[dict[str, Any]]:
    """The records of probes.jsonl of one kind, probe or novelty.

    Raises DoesNotApplyError without any.
    """
    found = [record for record in read_probes(run.path / "probes.jsonl") if record["kind"] == kind]
    if not found:
        if run.facts.get("mixed"):
            raise DoesNotApplyError("it was mixed, not trained: inspect the runs it was mixed from")
        raise DoesNotApplyError(
            "nothing was kept while it trained: hornbook train ... --probe-every 20"
        )
    return found


def readable(run: StoredRun, text: str) -> tuple[str, str]:
    """A text without the symbols that the model does not know, and in words what was left out.

    Raises DataError where nothing is left of it.
    """
    tokenizer, lines = run.tokenizer, text.split("\n") if run.documents else [text]
    known = "\n".join(tokenizer.decode(tokenizer.encode(one, unknown="skip")) for one in lines)
    if known == text:
        return text, ""
    strange = [c for c in dict.fromkeys(text) if c not in known]
    named = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in strange[:5])
    named += f" and {len(strange) - 5} more" if len(strange) > 5 else ""
    if not known.strip("\n"):
        raise DataError(f"text: found only symbols that the model does not know: {named}")
    return known, f"left out of the text, for the model does not know them: {named}"


def layer_names(run: StoredRun, modules: Iterable[str]) -> list[str]:
    """Modules counted as layers, in a mixture member by member: `layer 1`, `gpt: layer 1`."""
    members = {
        name: part.config.name
        for name, part in run.model.named_modules()
        if name and isinstance(part, LanguageModel)
    }
    twice = {kind for kind, n in Counter(members.values()).items() if n > 1}
    names, seen = [], Counter[str]()
    for module in modules:
        place = next((name for name in members if module.startswith(f"{name}.")), "")
        seen[place] += 1
        kind = members.get(place, "")
        own = f"{kind} {[*members].index(place) + 1}" if kind in twice else kind
        names.append(f"{own}: layer {seen[place]}" if own else f"layer {seen[place]}")
    return names


def symbols(run: StoredRun, ids: list[int]) -> list[str]:
    """How ids are shown in figures."""
    from hornbook.figures.style import shown

    return [shown(run.tokenizer.symbol(i)) for i in ids]


@torch.inference_mode()
def next_probabilities(run: StoredRun, ids: list[int]) -> Tensor:
    """What the model believes comes after each of the ids, (T, V)."""
    model = run.model
    if model.sliding or len(ids) <= model.context_length:
        return model(torch.tensor([ids]))[0].float().softmax(-1)
    rows = [
        model.next_logits(torch.tensor([ids[max(0, i - model.context_length) : i]]))[0]
        for i in range(1, len(ids) + 1)
    ]
    return torch.stack(rows).float().softmax(-1)
