"""Where documents begin in packed rows, from the ids alone.

A row may hold several documents, each started by the end-of-document id. A model that respects the
starts returns the same logits for a document alone and packed with others. B batch, T positions.
"""

from __future__ import annotations

import torch
from torch import Tensor


def document_starts(ids: Tensor, end_id: int) -> Tensor:
    """The position at which each position's document starts, (B, T) -> (B, T) int64.

    In a row that begins inside a document the first position counts as its start.

    >>> document_starts(torch.tensor([[7, 0, 5, 0, 3]]), end_id=0).tolist()
    [[0, 1, 1, 3, 3]]
    """
    positions = torch.arange(ids.shape[-1], device=ids.device)
    starts: Tensor = torch.where(ids == end_id, positions, 0).cummax(dim=-1).values
    return starts


def windows(ids: Tensor, length: int, end_id: int | None) -> Tensor:
    """The last `length` ids up to each position, (B, T) -> (B, T, length), oldest first.

    Before a document they repeat the id that starts it (the notes' `...`); of a stream, the
    first id of the row.

    >>> windows(torch.tensor([[0, 5, 6]]), 3, end_id=0).tolist()
    [[[0, 0, 0], [0, 0, 5], [0, 5, 6]]]
    """
    T = ids.shape[-1]  # noqa: N806
    positions = torch.arange(T, device=ids.device)
    wanted = positions[:, None] + torch.arange(1 - length, 1, device=ids.device)  # (T, length)
    if end_id is None:
        return ids[:, wanted.clamp(min=0)]
    starts = document_starts(ids, end_id)
    wanted = torch.maximum(wanted, starts[..., None])  # (B, T, length)
    return ids.gather(1, wanted.flatten(1)).view_as(wanted)


def last_window(ids: Tensor, length: int, end_id: int | None) -> Tensor:
    """The window of the last position alone, as `windows` returns it, (B, T) -> (B, length).

    >>> last_window(torch.tensor([[3, 0, 5, 6]]), 3, end_id=0).tolist()
    [[0, 5, 6]]
    >>> last_window(torch.tensor([[3, 0, 5]]), 3, end_id=0).tolist()
    [[0, 0, 5]]
    """
    ids = ids[:, -length:]
    if end_id is not None:
        positions = torch.arange(ids.shape[1], device=ids.device)
        ids = ids.masked_fill(positions < document_starts(ids, end_id)[:, -1:], end_id)
    missing = length - ids.shape[1]
    return torch.cat([ids[:, :1].expand(-1, missing), ids], dim=1) if missing else ids
