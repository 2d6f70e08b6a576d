"""A part as the notes' examples: which contexts predict which tokens.

What training uses is in `batches`; these are the notes' own few lines, to be looked at and pasted.
B batch, T context, N predictions of a part.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hornbook.data.batches import Draw, WindowBatches
from hornbook.data.part import Part
from hornbook.errors import ConfigError


def build_dataset(part: Part, context_length: int) -> tuple[Tensor, Tensor]:
    """The notes' X and Y: each context of a part (N, T) and the token after it (N,), int64.

    Before its document (or stream) begins, a context repeats the id that starts it.
    """
    last = torch.arange(part.n_targets)
    return _windows(part, context_length, last)


def get_batch(
    part: Part, batch_size: int, context_length: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """A random batch, drawn as the notes draw theirs with `torch.randint`.

    Of a stream blocks (B, T) and the same one token further on, (B, T): the notes' `get_batch`. Of
    documents contexts (B, T) and the token after each, (B,): their `Xtr[ix], Ytr[ix]`.
    generator: None for torch's global one, which `torch.manual_seed` seeds.
    Raises ConfigError where a stream is shorter than a block.
    """
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
    positions = ix[:, None] + torch.arange(context_length)
    tokens = torch.from_numpy(part.tokens)
    return tokens[positions].long(), tokens[positions + 1].long()


def _windows(part: Part, context_length: int, last: Tensor) -> tuple[Tensor, Tensor]:
    batches = WindowBatches(part, context_length, Draw(batch_size="all", seed=0))
    return batches.windows(last), batches.take(last + 1)
