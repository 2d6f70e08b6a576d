"""A part as the notes' examples: which contexts predict which tokens.

What training uses is in `batches`; these are the notes' own functions, to display and to paste.
B batch, T context, N predictions of a part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hornbook.data.batches import Draw, WindowBatches
from hornbook.data.corpus import Corpus
from hornbook.data.part import Part
from hornbook.errors import ConfigError
from hornbook.tokenizers.registry import build_tokenizer

CONTEXTS = {"documents": 3, "stream": 8}  # the notes' block_size


@dataclass(frozen=True)
class Example:
    """A context and the token after it, as symbols and as ids."""

    context: tuple[str, ...]
    target: str
    context_ids: tuple[int, ...]
    target_id: int


def first_examples(corpus: Corpus, n: int, context_length: int | None = None) -> Iterator[Example]:
    """The notes' examples of the beginning of a corpus, by a character tokenizer.

    Of the first n documents every context of that length and the character after it. Of a stream the
    first n blocks of that length, of which each position is an example: its context grows from 1 to
    the whole block. context_length: None for the notes' 3, or 8 of a stream. Raises ConfigError for
    numbers below 1, DataError where a stream is too short.
    """
    length = CONTEXTS[corpus.kind] if context_length is None else context_length
    for name, value in (("n", n), ("context_length", length)):
        if value < 1:
            raise ConfigError(f"{name}: found {value}, expected at least 1")
    documents = corpus.kind == "documents"
    tokenizer = build_tokenizer(
        "char", corpus.alphabet, documents=documents, document_end=corpus.document_end
    )
    if documents:
        part = Part.of_documents(corpus.documents[:n], tokenizer)
        x, y = build_dataset(part, length)
        rows = list(zip(x.tolist(), y.tolist(), strict=True))
    else:
        part = Part.of_stream(corpus.text[: n * length + 1], tokenizer)
        ids = part.tokens.tolist()
        rows = [(ids[i - i % length : i + 1], ids[i + 1]) for i in range(part.n_targets)]
    for context, target in rows:
        symbols = tuple(map(tokenizer.symbol, context))
        yield Example(symbols, tokenizer.symbol(target), tuple(context), target)


def build_dataset(part: Part, context_length: int) -> tuple[Tensor, Tensor]:
    """The notes' X and Y: each context of a part (N, T) and the token after it (N,), int64.

    Before its document (or stream) begins, a context repeats the id that starts it.
    Raises ConfigError for what is no part, such as the notes' list of words.
    """
    _check_part(part)
    last = torch.arange(part.n_targets)
    return _windows(part, context_length, last)


def get_batch(
    part: Part, batch_size: int, context_length: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """A random batch, drawn as the notes draw theirs with `torch.randint`.

    Of a stream blocks (B, T) and the same one token further on, (B, T): the notes' `get_batch`. Of
    documents contexts (B, T) and the token after each, (B,): their `Xtr[ix], Ytr[ix]`.
    generator: None for torch's global one, which `torch.manual_seed` seeds.
    Raises ConfigError where a stream is shorter than a block, or for what is no part, such as the
    notes' "train".
    """
    _check_part(part)
    if part.documents:
        ix = torch.randint(0, part.n_targets, (batch_size,), generator=generator)
        return _windows(part, context_length, ix)
    starts = len(part.tokens) - context_length
    if starts < 1:
        raise ConfigError(
            f"context_length: found {context_length}, but the part has {part.n_targets} tokens to "
            f"predict; give at most {part.n_targets}"
        )
    ix = torch.randint(starts, (batch_size,), generator=generator)
    positions = (ix[:, None] + torch.arange(context_length)).numpy()
    x, y = part.tokens[positions], part.tokens[positions + 1]
    return torch.from_numpy(x).long(), torch.from_numpy(y).long()


def _check_part(part: object) -> None:
    if not isinstance(part, Part):
        raise ConfigError(
            f"part: found a {type(part).__name__}, expected a part of a run: "
            'hornbook.load("runs/tour").part("train"); for a list of words, paste the notes\' own lines'
        )


def _windows(part: Part, context_length: int, last: Tensor) -> tuple[Tensor, Tensor]:
    batches = WindowBatches(part, context_length, Draw(batch_size="all", seed=0))
    return batches.windows(last), batches.take(last + 1)
