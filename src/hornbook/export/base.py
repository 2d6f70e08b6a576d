"""What every target shares: what was written, what was compared, and with which rows and texts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from hornbook.errors import DataError
from hornbook.generate.decoder import generate_ids, prompt_ids
from hornbook.metrics.loss import evaluate
from hornbook.models.base import LanguageModel
from hornbook.runs.directory import StoredRun

POSITIONS, LONGEST_ROW, SEED = 1000, 128, 20261129
FEWEST, MOST_LOGITS = 100, 1 << 24  # positions of a large vocabulary, and logits of all positions
EQUAL = 1e-4  # relative to the spread of the logits: what float32 is to keep
TOKENS_MEASURED = 1 << 17  # of the validation part, for the loss that rounded weights cost
SCRIPTS = (
    "Ærøskøbing, naïve, Ελλάδα, Москва, 東京, 한국, שלום, مرحبا, नमस्ते, 👩‍🔬🇳🇴👍🏽, e\u0301, ½²"
)


@dataclass(frozen=True)
class Written:
    """What a target wrote.

    path: the file or directory. dtype: of the weights in it. notes: what a user should know, one
    sentence each, such as a loss by quantization.
    """

    path: Path
    dtype: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """One comparison with another program.

    program: its name and version. what: what was compared: "logits at 1,000 positions".
    difference: the largest, relative to the spread of the logits (`spread`); None for a comparison that
    is equal or not. equal: whether it is within what is expected.
    """

    program: str
    what: str
    equal: bool
    difference: float | None = None

    def __str__(self) -> str:
        verdict = "equal" if self.equal else "NOT equal"
        if self.difference is None:
            return f"{self.program}: {self.what}: {verdict}"
        if self.equal and self.difference > EQUAL:
            verdict = "as rounding lets expect"
        return f"{self.program}: {self.what}: largest difference {self.difference:.1e} ({verdict})"


@dataclass(frozen=True)
class Export:
    """An export: what was written, and how it compares; `checks` is empty where nothing was checked."""

    target: str
    written: Written
    checks: tuple[Check, ...] = ()
    unchecked: str = ""  # why nothing was checked

    @property
    def path(self) -> Path:
        """The file or directory."""
        return self.written.path


def spread(logits: Tensor) -> float:
    """The standard deviation of logits (..., V) about their mean, to which differences are relative.

    Logits that differ by a constant are the same prediction, so each position is centered.
    """
    return float((logits - logits.mean(-1, keepdim=True)).std().clamp_min(1e-9))


def relative_difference(expected: Tensor, found: Tensor) -> float:
    """The largest difference of logits (..., V), centered, relative to the spread of the expected."""
    centered = [each.double() - each.double().mean(-1, keepdim=True) for each in (expected, found)]
    return float((centered[0] - centered[1]).abs().max()) / spread(expected.double())


def random_rows(run: StoredRun, model: LanguageModel | None = None) -> Tensor:
    """Random ids to compare logits at, (rows, T) int64, at least `POSITIONS` but for the last of a row;
    fewer of a large vocabulary.

    Each row begins with the end-of-document id where there is one and holds it nowhere else. T is the
    context of the model (by default the run's), at most `LONGEST_ROW`.
    """
    model, tokenizer = model or run.model, run.tokenizer
    length = LONGEST_ROW if model.sliding else min(model.context_length, LONGEST_ROW)
    generator = torch.Generator().manual_seed(SEED)
    positions = min(POSITIONS, max(FEWEST, MOST_LOGITS // tokenizer.vocab_size))
    rows = -(-positions // max(1, length - 1))
    ids = torch.randint(0, tokenizer.vocab_size, (rows, length), generator=generator)
    if tokenizer.end_id is not None:
        ids = torch.where(
            ids == tokenizer.end_id, (tokenizer.end_id + 1) % tokenizer.vocab_size, ids
        )
        ids[:, 0] = tokenizer.end_id
    return ids


def every_symbol(run: StoredRun) -> str:
    """A text with every symbol that the run knows, in a mixed order, and with some of many scripts:
    those that it does not know are to be skipped."""
    tokenizer = run.tokenizer
    generator = torch.Generator().manual_seed(SEED)
    order = torch.randperm(tokenizer.vocab_size, generator=generator).tolist()
    special = set(tokenizer.special)  # another program may read them from a text
    texts = [tokenizer.decode([i]) for i in [*range(tokenizer.vocab_size), *order]]
    known = "".join(text for text in texts if text not in special)
    return f"{known} {SCRIPTS} {SCRIPTS.upper()}\n\ttabs,  two spaces\n"


def greedy_text(
    run: StoredRun, model: LanguageModel | None = None, n: int = 60, prompt: str = ""
) -> tuple[list[int], list[int]]:
    """The ids that generation starts from, of a prompt or without one, and up to n most probable ones
    after them, at most as many as the context holds; they end with the end of a document if it
    comes."""
    model, start = model or run.model, prompt_ids(run.tokenizer, prompt)
    n = min(n, model.context_length - len(start)) if not model.sliding else n
    draw = lambda logits, samples, length: logits.argmax(-1)  # noqa: E731
    rows = generate_ids(model, start, torch.zeros(1, dtype=torch.int64), max(1, n), draw)
    return start, [int(token) for _, token in rows]


def tokens_per_second(run: StoredRun, model: LanguageModel | None = None) -> float:
    """How fast this program writes the most probable text, one token after the other, without a prompt
    and without an end, as far as the context goes but at most `LONGEST_ROW` tokens. The median of
    three times after a first one."""
    model = model or run.model
    start, end = prompt_ids(run.tokenizer, ""), run.tokenizer.end_id

    def draw(logits: Tensor, samples: Tensor, length: int) -> Tensor:
        if end is not None:
            logits = logits.index_fill(-1, torch.tensor([end]), -torch.inf)
        return logits.argmax(-1)

    n = measured_tokens(model)
    return median_speed(
        lambda: len(list(generate_ids(model, start, torch.zeros(1, dtype=torch.int64), n, draw)))
    )


def measured_tokens(model: LanguageModel) -> int:
    """How many tokens `tokens_per_second` writes."""
    return LONGEST_ROW if model.sliding else max(1, min(model.context_length - 1, LONGEST_ROW))


def median_speed(write: Callable[[], int]) -> float:
    """Tokens per second of what writes some and returns how many."""
    speeds = []
    for _ in range(4):
        begin = time.perf_counter()
        n = write()
        speeds.append(n / (time.perf_counter() - begin))
    return statistics.median(speeds[1:])


def rounding_cost(run: StoredRun, model: LanguageModel, rounded: Mapping[str, Tensor]) -> str:
    """What rounded weights cost on the validation part, as a sentence.

    rounded: all or some of the weights of `model`, by their names in it, as they are read again.
    """
    try:
        part = run.part("val").subset(TOKENS_MEASURED, run.tokenizer)
    except DataError:
        return "what rounding costs was not measured: the text of the run is not here"
    before = evaluate(model, part).bits_per_byte
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try:
        model.load_state_dict({**own, **rounded})
        after = evaluate(model, part).bits_per_byte
    finally:
        model.load_state_dict(own)
    return (
        f"rounded weights change the loss of the validation part by {after - before:+.1g} bits per "
        f"byte ({before:.4f} to {after:.4f})"
    )
