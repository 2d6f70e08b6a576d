"""How well a model predicts: every token of a part once, whatever the batches.

Block protocol: a unit (document or stream) longer than the model's context is cut into blocks that
do not overlap, each predicted from its own beginning; a model whose context slides (n-gram, MLP)
sees all of its context everywhere, and so do the counts of a hybrid: its blocks overlap by the few
tokens that these look back. Losses are in nats; bits per byte compare across tokenizers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from hornbook.data.batches import IGNORE, resident
from hornbook.data.packing import Rows
from hornbook.data.part import Part
from hornbook.models.base import LanguageModel
from hornbook.parallel.ranks import SINGLE, Ranks
from hornbook.stages import tracked
from hornbook.table import Tabular, on_one_line
from hornbook.tokenizers import Tokenizer
from hornbook.tokenizers.base import Ids, Unknown

ROW = 256  # tokens in a row of a model that takes rows of any length
BATCH_TOKENS = 1 << 14  # tokens computed at once, but
BATCH_LOGITS = 1 << 24  # so many logits at most: 64 MiB of each copy, or those of one row

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Evaluation(Tabular):
    """The loss over a part.

    nats: mean per token. standard_error: of that mean, by unit; None of a single one.
    bits_per_byte: all bits over all UTF-8 bytes predicted. tokens, bytes: how many were predicted.
    units: how many documents, or blocks of a stream.
    """

    nats: float
    standard_error: float | None
    perplexity: float
    bits_per_byte: float
    tokens: int
    bytes: int
    units: int

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def table_rows(self) -> list[list[str]]:
        """Its figures in one row."""
        error = "-" if self.standard_error is None else f"{self.standard_error:.4f}"
        return [
            ["nats/token", "standard error", "perplexity", "bits/byte", "tokens", "units"],
            [f"{self.nats:.4f}", error, f"{self.perplexity:.2f}", f"{self.bits_per_byte:.4f}",
             f"{self.tokens:,}", f"{self.units:,}"],
        ]  # fmt: skip


def batch_loss(
    model: LanguageModel, ids: Tensor, targets: Tensor, total: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy in nats of a batch, a scalar that gradients flow from.

    targets: (B, T) of every position, or (B,) after full windows. total: of a part of a batch, how many
    targets are scored in all of it; the losses of the parts add up to that of the batch.
    """
    logits = model.training_logits(ids, targets)
    if logits.dtype == torch.bfloat16:
        logits = logits.float()
    logits, targets = logits.flatten(0, -2), targets.flatten()
    if total is None:
        return F.cross_entropy(logits, targets, ignore_index=IGNORE)
    return F.cross_entropy(logits, targets, ignore_index=IGNORE, reduction="sum") / total


def scored_row(model: LanguageModel) -> int:
    """Tokens in a row that is scored: the context, but several of them where it slides."""
    return max(ROW, 4 * (model.context_length - 1)) if model.sliding else model.context_length


def scored_logits(model: LanguageModel, n_tokens: int) -> int:
    """How many logits are computed at once while a part of so many tokens is scored."""
    row = min(scored_row(model), n_tokens)
    tokens = min(BATCH_TOKENS, BATCH_LOGITS // model.vocab_size, row * -(-n_tokens // row))
    return max(row, tokens // row * row) * model.vocab_size


@torch.inference_mode()
def token_nats(
    model: LanguageModel,
    part: Part,
    *,
    batch_tokens: int = BATCH_TOKENS,
    separate: bool = False,
    trained_on: bool = False,
    ranks: Ranks = SINGLE,
) -> Floats:
    """-log p of each predicted token of a part in nats, (n_targets,), in order; 0 where its
    prediction is not scored (`Part.scored`).

    batch_tokens: how many are computed at once, at most; fewer where the vocabulary is large.
    separate: each unit has rows of its own, as short texts of a stream need: nothing in their ids
    tells a model where one begins. trained_on: by `LanguageModel.training_logits`, for a part that the
    model may have counted. The model is put into evaluation mode and back. ranks: each takes a share of
    the batches, and all have the same result: to the bit that of a single process.
    """
    nats = np.zeros(part.n_targets)
    for positions, scored, logits, targets in _scored_batches(
        model, part, batch_tokens, separate=separate, trained_on=trained_on, ranks=ranks
    ):
        losses = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
        nats[positions[scored]] = losses.cpu().numpy()[scored.ravel()]
    ranks.sum(torch.from_numpy(nats))  # of each token one rank has the loss
    return nats if part.scored is None else nats * part.scored


@torch.inference_mode()
def likeliest_tokens(model: LanguageModel, part: Part, k: int) -> tuple[Floats, Ids, Floats]:
    """-log p of each predicted token of a part, (n_targets,), as `token_nats` measures it; the k
    likeliest tokens at its position and their log p in nats, (n_targets, k) each, likeliest first."""
    k = min(k, model.vocab_size)
    nats = np.empty(part.n_targets)
    tokens, log_p = np.empty((part.n_targets, k), np.int64), np.empty((part.n_targets, k))
    for positions, scored, logits, targets in _scored_batches(model, part, BATCH_TOKENS):
        losses = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
        best = logits.float().flatten(0, 1).log_softmax(-1).topk(k)
        where, chosen = positions[scored], scored.ravel()
        nats[where] = losses.cpu().numpy()[chosen]
        tokens[where] = best.indices.cpu().numpy()[chosen]
        log_p[where] = best.values.cpu().numpy()[chosen]
    return nats, tokens, log_p


def _scored_batches(
    model: LanguageModel,
    part: Part,
    batch_tokens: int,
    *,
    separate: bool = False,
    trained_on: bool = False,
    ranks: Ranks = SINGLE,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_], Tensor, Tensor]]:
    """For each batch of rows: the positions in the part and which of them are scored, (B, T) each, the
    logits (B, T, V) and the targets (B, T)."""
    was_training = model.training
    model.eval()
    for positions, scored, ids, targets in scored_rows(
        model, part, batch_tokens, separate=separate, ranks=ranks
    ):
        logits = model.training_logits(ids, targets) if trained_on else model(ids)
        yield positions, scored, logits, targets
    model.train(was_training)


def scored_rows(
    model: LanguageModel,
    part: Part,
    batch_tokens: int = BATCH_TOKENS,
    *,
    separate: bool = False,
    ranks: Ranks = SINGLE,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_], Tensor, Tensor]]:
    """The rows in which a part is scored, in batches: the positions in the part and which of them are
    scored, the ids and the targets, (B, T) each."""
    length = scored_row(model)
    batch_tokens = min(batch_tokens, BATCH_LOGITS // model.vocab_size)
    chunks = part.chunks(length, model.overlap)
    longest = part.n_targets
    if separate:
        chunks, longest = replace(chunks, continues=np.ones(len(chunks.unit), bool)), part.longest
    rows = Rows(chunks, np.arange(len(chunks.start)), min(length, longest))
    device = model.device
    tokens = resident(part.tokens, device)
    per_batch = max(1, batch_tokens // rows.length)
    for first in tracked("evaluation", ranks.share(range(0, len(rows), per_batch))):
        positions, scored = rows.positions(first, min(first + per_batch, len(rows)))
        index = torch.from_numpy(positions.clip(min=0)).to(device)
        ids = tokens[index].long()
        if model.end_id is not None:
            ids = ids.masked_fill(torch.from_numpy(positions < 0).to(device), model.end_id)
        yield positions, scored, ids, tokens[index + 1].long()


def summarize(nats: Floats, part: Part, block: int) -> Evaluation:
    """The losses of a part's tokens as one Evaluation. `block`: length of a stream's blocks."""
    edges = part.starts[:-1] if part.documents else np.arange(0, len(nats), block)
    sums, counts, n = np.add.reduceat(nats, edges), unit_sizes(part, edges), part.n_scored
    mean = float(nats.sum() / n)
    units = int(np.count_nonzero(counts))
    error = None
    if units > 1 and math.isfinite(mean):  # of a ratio, by clusters
        spread = float(np.sum((sums - mean * counts) ** 2))
        error = math.sqrt(spread * units / (units - 1)) / n
    return Evaluation(
        nats=mean,
        standard_error=error,
        perplexity=math.exp(mean) if mean < 700 else math.inf,
        bits_per_byte=float(nats.sum()) / math.log(2) / part.n_bytes,
        tokens=n,
        bytes=part.n_bytes,
        units=units,
    )


def unit_sizes(part: Part, edges: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """How many predictions of each unit are scored, (units,). edges: where the units begin."""
    if part.scored is None:
        return np.diff(np.append(edges, part.n_targets))
    return np.add.reduceat(part.scored, edges, dtype=np.int64)


def evaluate(model: LanguageModel, part: Part) -> Evaluation:
    """The loss of a model over a whole part, every token once."""
    return summarize(token_nats(model, part), part, max(model.context_length, 1))


def mean_nats(
    model: LanguageModel,
    parts: Sequence[Part],
    *,
    trained_on: bool = False,
    ranks: Ranks = SINGLE,
) -> float:
    """The mean loss over several parts together; trained_on, ranks: see `token_nats`."""
    nats = [token_nats(model, part, trained_on=trained_on, ranks=ranks) for part in parts]
    return mean_of(np.concatenate(nats), *parts)


def mean_of(nats: Floats, *parts: Part) -> float:
    """The mean over the scored predictions of parts. nats: their `token_nats`, one after the other."""
    return float(nats.sum() / sum(part.n_scored for part in parts))


@dataclass(frozen=True, repr=False)
class Score(Tabular):
    """How surprising a model finds one text. Losses in nats, over `tokens` predictions.

    symbols, token_nats: of each token; the end of a document is the last of them.
    """

    text: str
    total: float
    mean: float
    bits_per_byte: float
    tokens: int
    symbols: tuple[str, ...]
    token_nats: tuple[float, ...]

    def __repr__(self) -> str:
        return f"Score({self.text!r}, {self.total:.3f} nats, {self.mean:.3f} per token)"

    def table_rows(self) -> list[list[str]]:
        """One row of a table of texts."""
        return [
            ["total nats", "per token", "bits/byte", "tokens", "text"],
            [f"{self.total:.3f}", f"{self.mean:.3f}", f"{self.bits_per_byte:.3f}",
             str(self.tokens), on_one_line(self.text)],
        ]  # fmt: skip


def scored_parts(
    tokenizer: Tokenizer, texts: Sequence[str], *, unknown: Unknown = "error"
) -> list[Part]:
    """The parts that `score` measures: one of all documents, or one for each stretch of a stream."""
    if not texts:
        return []
    if tokenizer.end_id is not None:
        return [Part.of_documents(texts, tokenizer, unknown=unknown)]
    before = tokenizer.decode([tokenizer.start_id])
    return [Part.of_stream(text, tokenizer, before=before, unknown=unknown) for text in texts]


def score(
    model: LanguageModel,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    unknown: Unknown = "error",
) -> list[Score]:
    """Scores texts: documents from start to end, stretches of a stream after a line break.

    Raises DataError for characters that the model does not know, or an empty stretch of a stream.
    """
    parts = scored_parts(tokenizer, texts, unknown=unknown)
    pieces: list[tuple[Floats, NDArray[Any]]] = []  # nats and targets of each text
    for part in parts:
        ends = part.starts[1:-1]
        nats = token_nats(model, part)
        pieces += zip(np.split(nats, ends), np.split(part.tokens[1:], ends), strict=True)
    scores = []
    for text, (own, targets) in zip(texts, pieces, strict=True):
        n_bytes = len(tokenizer.decode_bytes(targets)) + (tokenizer.end_id is not None)
        scores.append(
            Score(
                text=text,
                total=float(own.sum()),
                mean=float(own.mean()),
                bits_per_byte=float(own.sum()) / math.log(2) / n_bytes,
                tokens=len(own),
                symbols=tuple(tokenizer.symbol(t) for t in targets.tolist()),
                token_nats=tuple(own.tolist()),
            )
        )
    return scores
