"""What a step computes, known before it is known how many of them are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from hornbook.config import TrainingConfig
from hornbook.data.batches import Batches, Draw, build_batches
from hornbook.data.training_data import TrainingData
from hornbook.models.base import LanguageModel
from hornbook.planning.decide import batches as decide
from hornbook.planning.decision import Decision

Examples = Literal["sequences", "windows"]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The form of the batches, and the size of the model that reads them.

    row: tokens in a row, with the reason. items: rows or windows in the training part. overlapping:
    its rows begin at any token.
    """

    n_parameters: int
    fitted: bool
    context_length: int
    examples: Examples
    row: Decision[int]
    n_train: int
    items: int
    overlapping: bool

    @classmethod
    def of(cls, model: LanguageModel, data: TrainingData, training: TrainingConfig) -> Shape:
        """The shape of a model (which may be on the device `meta`) on a text."""
        n_train = data.train.n_targets
        examples = model.examples if training.examples == "auto" else training.examples
        row = decide.row_length(
            training.row_length,
            sliding=model.sliding,
            examples=examples,
            context=model.context_length,
            n_train=n_train,
        )
        batches = None
        if not model.fitted:
            batches = build_batches(data.train, examples, row.value, draw_of(training))
        return cls(
            n_parameters=model.n_parameters,
            fitted=model.fitted,
            context_length=model.context_length,
            examples=examples,
            row=row,
            n_train=n_train,
            items=batches.items_per_epoch if batches else 1,
            overlapping=bool(batches and batches.overlapping),
        )

    @property
    def row_length(self) -> int:
        """Tokens in a row."""
        return self.row.value

    def rows(self, batch_size: int | Literal["all"]) -> int:
        """Rows or windows of a batch; no more than there are."""
        return self.items if batch_size == "all" else min(batch_size, self.items)

    def tokens_per_step(self, batch_size: int | Literal["all"]) -> float:
        """Tokens predicted in a step, on average."""
        rows = self.rows(batch_size)
        share = rows / self.items * (self.row_length if self.overlapping else 1)
        full = rows * (self.row_length if self.examples == "sequences" else 1)
        return min(self.n_train * share, full)

    def build_batches(self, data: TrainingData, draw: Draw, device: torch.device | str) -> Batches:
        """The batches of the training part."""
        return build_batches(data.train, self.examples, self.row_length, draw, device)


def draw_of(training: TrainingConfig) -> Draw:
    """How batches are drawn by the settings."""
    return Draw(batch_size=training.batch_size, seed=training.seed, sampling=training.sampling)
