"""What every target shares: what was written, what was compared, and with which rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from hornbook.runs.directory import StoredRun

ROWS, SEED = 8, 20261129


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


def random_rows(run: StoredRun, rows: int = ROWS) -> Tensor:
    """Random ids to compare logits at, (rows, T) int64: each row begins with the end-of-document id
    where there is one and holds it nowhere else, T is the context, at most 128."""
    tokenizer, length = run.tokenizer, min(run.model.context_length or 128, 128)
    generator = torch.Generator().manual_seed(SEED)
    ids = torch.randint(0, tokenizer.vocab_size, (rows, length), generator=generator)
    if tokenizer.end_id is not None:
        ids = torch.where(
            ids == tokenizer.end_id, (tokenizer.end_id + 1) % tokenizer.vocab_size, ids
        )
        ids[:, 0] = tokenizer.end_id
    return ids
