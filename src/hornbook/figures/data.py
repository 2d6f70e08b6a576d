"""What figures draw: a run's texts as far as they can still be read, batches, probe records."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hornbook.data.batches import Draw, build_batches
from hornbook.data.part import Part
from hornbook.data.split import Split
from hornbook.engine.device import preserve_rng_state
from hornbook.errors import DataError, HornbookError
from hornbook.figures.style import shown
from hornbook.generate import make_generator, sample
from hornbook.metrics.loss import batch_loss
from hornbook.metrics.probes import Probe
from hornbook.metrics.text_index import TextIndex
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model
from hornbook.planning.decide.batches import examples, row_length
from hornbook.runs.directory import StoredRun
from hornbook.runs.probes import read_probes

PROBED = 2048  # predictions
STREAM_TEXT = 120  # characters of a stream that are drawn where no text is given
DOCUMENTS = 4  # that are drawn where no text is given
NO_UNITS = "no layer of units (tanh, ReLU and its kind, recurrent) in this model"

Ints = NDArray[np.int64]
T = TypeVar("T")


class DoesNotApplyError(HornbookError):
    """A figure that cannot be drawn of this run, and why, in one line."""


@dataclass(frozen=True)
class FigureData:
    """The texts of a run as figures need them, each computed on first use.

    split: None where the corpus is gone or changed; then `missing` says so.
    """

    run: StoredRun
    split: Split | None
    missing: str

    @cached_property
    def text_index(self) -> TextIndex:
        """The training part indexed. Raises DoesNotApplyError where the corpus is gone."""
        if self.split is None:
            raise DoesNotApplyError(self.missing)
        return TextIndex(self.split)

    @cached_property
    def held_out(self) -> tuple[str, ...]:
        """Validation texts; the model's own samples where the corpus is gone."""
        if self.split is not None:
            return self.split.validation
        generator, run = make_generator(0), self.run
        n, length = (100 if run.documents else 1), 500
        if run.imported:  # such models are larger
            n, length = min(n, 8), 100
        samples = sample(run.model, run.tokenizer, n=n, max_tokens=length, generator=generator)
        texts = [s.text.replace(run.document_end, "") for s in samples]  # no text holds it
        return tuple(text for text in texts if len(text) > 1) or ("",)

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
        """What is drawn where no text is given: some documents, or a stretch of a stream."""
        if not self.run.documents:
            whole = self.held_out[0]
            start = whole.find("\n", 0, 200) + 1  # a line from its beginning
            return whole[start : start + STREAM_TEXT].strip("\n") or whole
        longest = sorted(self.held_out[:50], key=len)[-DOCUMENTS - 5 : -5]
        return self.run.document_end.join(longest or self.held_out[:DOCUMENTS])

    @cached_property
    def probe(self) -> Probe:
        """Activations and gradients of a copy of the model on held-out text.

        Raises DoesNotApplyError for a model of counts.
        """
        require_trained(self.run)
        model = copy.deepcopy(self.run.model)
        model.zero_grad(set_to_none=True)
        with torch.inference_mode(False), torch.enable_grad(), Probe(model) as probe:
            batch_loss(model, *training_batch(self.run, PROBED)).backward()  # type: ignore[no-untyped-call]
        return probe

    @cached_property
    def first_probe(self) -> Probe | None:
        """The same of the first weights, drawn again; None of a mixture, whose members have their own.

        Raises DoesNotApplyError for a model of counts.
        """
        require_trained(self.run)
        if self.run.facts.get("mixed"):
            return None
        tokenizer, config = self.run.tokenizer, self.run.config
        with preserve_rng_state(torch.device("cpu")):
            torch.manual_seed(config.training.seed)
            model = build_model(config.model, tokenizer.vocab_size, tokenizer.end_id)
        model.train()  # BatchNorm has no statistics yet but those of a batch
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        with Probe(model) as probe:
            batch_loss(model, *training_batch(self.run, PROBED)).backward()  # type: ignore[no-untyped-call]
        return probe


_DATA: WeakKeyDictionary[StoredRun, FigureData] = WeakKeyDictionary()


def figure_data(run: StoredRun) -> FigureData:
    """The data of a run, read once."""
    if run not in _DATA:
        try:
            _DATA[run] = FigureData(run, run.split(), "")
        except HornbookError as error:
            missing = f"the corpus cannot be read ({str(error).splitlines()[0].partition('. ')[0]})"
            _DATA[run] = FigureData(run, None, missing)
    return _DATA[run]


def once_per_run(compute: Callable[[StoredRun], T]) -> Callable[[StoredRun], T]:
    """Keeps what is computed of a run for as long as the run is there: figures are drawn twice."""
    kept: WeakKeyDictionary[StoredRun, T] = WeakKeyDictionary()

    @wraps(compute)
    def computed(run: StoredRun) -> T:
        if run not in kept:
            kept[run] = compute(run)
        return kept[run]

    return computed


def require_trained(run: StoredRun) -> None:
    """Raises DoesNotApplyError for a model that is fitted rather than trained."""
    if run.model.fitted:
        raise DoesNotApplyError(
            "a model of counts is fitted in one pass: it has no gradients or units"
        )


def is_untrained(run: StoredRun) -> bool:
    """Whether no step was made, so that its weights are the first."""
    log = run.log
    return bool(log) and log[-1]["step"] == 0


def training_batch(run: StoredRun, tokens: int) -> tuple[Tensor, Tensor]:
    """ids and targets of about so many predictions, in batches as the model was trained on."""
    model, part, training = run.model, figure_data(run).part, run.config.training
    form, rows = examples(training.examples, model.examples).value, tokens
    length = row_length(
        training.row_length,
        sliding=model.sliding,
        examples=form,
        context=model.context_length,
        n_train=run.facts["split"]["train"],
    ).value
    if form == "sequences":
        length = min(length, part.n_targets)
        rows = max(1, tokens // length)
    return build_batches(part, form, length, Draw(batch_size=rows, seed=0)).batch(0)


def probe_records(run: StoredRun, kind: str) -> list[dict[str, Any]]:
    """The records of probes.jsonl of one kind, probe or novelty.

    Raises DoesNotApplyError without any.
    """
    found = [record for record in read_probes(run.path / "probes.jsonl") if record["kind"] == kind]
    if not found:
        if run.facts.get("mixed"):
            raise DoesNotApplyError("it was mixed, not trained: inspect the runs it was mixed from")
        raise DoesNotApplyError(
            "it was trained without probes: hornbook train ... --probe-every 20"
        )
    return found


def known_text(run: StoredRun, text: str) -> tuple[str, str]:
    """A text without the characters that the model does not know, and a sentence on those left out.

    Raises DataError where nothing is left.
    """
    tokenizer, lines = run.tokenizer, texts_of(run, text)
    texts = (tokenizer.decode(tokenizer.encode(one, unknown="skip")) for one in lines)
    known = run.document_end.join(texts)
    if known == text:
        return text, ""
    strange = [c for c in dict.fromkeys(text) if c not in known]
    named = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in strange[:5])
    named += f" and {len(strange) - 5} more" if len(strange) > 5 else ""
    if not known.strip("\0\n"):
        raise DataError(f"text: found only characters that the model does not know: {named}")
    return known, f"left out of the text, as the model does not know them: {named}"


def texts_of(run: StoredRun, text: str | None) -> list[str]:
    """A given text, or what is drawn without one, as its documents or as one stretch of a stream."""
    text = figure_data(run).text if text is None else text
    return text.split(run.document_end) if run.documents else [text]


def cut_note(run: StoredRun, drawn: int, whole: int) -> str:
    """That only the first tokens are drawn, in words."""
    starts = ", starts of documents counted" if run.documents else ""
    return f"the first {drawn} of {whole:,} tokens are drawn{starts}" if drawn < whole else ""


def layer_names(run: StoredRun, modules: Iterable[str]) -> list[str]:
    """Modules counted as layers, in a mixture member by member: `layer 1`, `gpt: layer 1`."""
    members = {
        name: part.config.name
        for name, part in run.model.named_modules()
        if name and isinstance(part, LanguageModel)
    }
    twice = {kind for kind, n in Counter(members.values()).items() if n > 1}
    names, count = [], Counter[str]()
    for module in modules:
        member = next((name for name in members if module.startswith(f"{name}.")), "")
        count[member] += 1
        kind = members.get(member, "")
        own = f"{kind} {[*members].index(member) + 1}" if kind in twice else kind
        names.append(f"{own}: layer {count[member]}" if own else f"layer {count[member]}")
    return names


def token_labels(run: StoredRun, ids: list[int]) -> list[str]:
    """How tokens are written in figures."""
    return [shown(run.tokenizer.symbol(i)) for i in ids]


def frequent_tokens(run: StoredRun, most: int) -> tuple[Ints, str]:
    """The most frequent tokens that occur, at most so many, in the order of their ids, and which
    they are in words; empty where they are all."""
    size = run.tokenizer.vocab_size
    often = np.bincount(figure_data(run).whole.tokens, minlength=size)
    order = np.argsort(-often, kind="stable")[:most]
    order = np.sort(order[often[order] > 0])
    n = len(order)
    note = f"the {n} of {size:,} tokens that occur"
    if n == most:
        note = f"the {n} most frequent of {size:,} tokens"
    return order, "" if n == size else note


@torch.inference_mode()
def next_probabilities(run: StoredRun, ids: list[int]) -> Tensor:
    """The probabilities of the token after each of the ids, (T, V)."""
    model = run.model
    if model.sliding or len(ids) <= model.context_length:
        return model(torch.tensor([ids], device=model.device))[0].float().softmax(-1)
    rows = [
        model.next_logits(
            torch.tensor([ids[max(0, i - model.context_length) : i]], device=model.device)
        )[0]
        for i in range(1, len(ids) + 1)
    ]
    return torch.stack(rows).float().softmax(-1)


@torch.inference_mode()
def module_outputs(
    modules: Mapping[str, nn.Module], call: Callable[[Tensor], Tensor], ids: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """The output of `call(ids)`, and the outputs of modules on the way, by name."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda module, inputs, output: found.__setitem__(name, output)

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        result = call(ids)
    finally:
        for handle in handles:
            handle.remove()
    return result, {name: found[name] for name in modules if name in found}
