"""What a step computes, known before it is known how many of them are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from hornbook.config import TrainingConfig
from hornbook.data.batches import Batches, Draw, build_batches
from hornbook.data.part import Part
from hornbook.data.training_data import TrainingData
from hornbook.machine import cores
from hornbook.models.base import LanguageModel
from hornbook.parallel.ranks import SINGLE, Ranks
from hornbook.planning.decide import batches as decide
from hornbook.planning.decision import Decision


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The form of the batches, and the size of the model that reads them.

    form, row: of the batches, and tokens in a row of them, with the reasons. items: rows or windows in
    the training part. overlapping: its rows begin at any token. replay: share of a batch that is of
    another text (`planning/start.py`). held_back: tokens of the training part that no row has.
    """

    n_parameters: int
    counted: bool
    fitted: bool
    context_length: int
    form: Decision[decide.Examples]
    row: Decision[int]
    n_train: int
    items: int
    overlapping: bool
    replay: float = 0.0
    held_back: int = 0

    @classmethod
    def of(
        cls,
        model: LanguageModel,
        data: TrainingData,
        training: TrainingConfig,
        replay: float = 0.0,
    ) -> Shape:
        """The shape of a model (which may be on the device `meta`) on a text."""
        held_back = model.held_back(data.train.n_targets)
        train = data.train
        if held_back:
            train, _ = train.hold_back(held_back, data.tokenizer)
        n_train = train.n_targets
        form = decide.examples(training.examples, model.examples)
        row = decide.row_length(
            training.row_length,
            sliding=model.sliding,
            examples=form.value,
            context=model.context_length,
            n_train=n_train,
        )
        batches = None
        if not model.fitted:
            batches = build_batches(train, form.value, row.value, draw_of(training))
        return cls(
            n_parameters=model.n_parameters,
            counted=model.counted,
            fitted=model.fitted,
            context_length=model.context_length,
            form=form,
            row=row,
            n_train=n_train,
            items=batches.items_per_epoch if batches else 1,
            overlapping=bool(batches and batches.overlapping),
            replay=replay,
            held_back=held_back,
        )

    @property
    def examples(self) -> decide.Examples:
        """The form of the batches."""
        return self.form.value

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

    def passes(self, tokens: float) -> float:
        """How often the training part was read in so many tokens."""
        return tokens * (1 - self.replay) / self.n_train

    def max_steps(self, batch_size: int | Literal["all"]) -> int | None:
        """Steps after which a small text begins to be memorized; None where it is not small."""
        return decide.max_steps(self.n_parameters, self.n_train, self.tokens_per_step(batch_size))

    def build_batches(self, train: Part, draw: Draw, device: torch.device | str) -> Batches:
        """The batches of a training part."""
        return build_batches(train, self.examples, self.row_length, draw, device)


def threads_available(ranks: Ranks = SINGLE) -> int:
    """CPU threads that this process may use: its share of the cores, where several are on a machine."""
    if not ranks.many:
        return torch.get_num_threads()
    return max(1, cores() // ranks.launch.local_world_size)


def draw_of(training: TrainingConfig, ranks: Ranks = SINGLE) -> Draw:
    """How batches are drawn by the settings, of which each rank draws its share."""
    return Draw(
        batch_size=training.batch_size,
        seed=training.seed,
        sampling=training.sampling,
        rank=ranks.rank,
        world_size=ranks.world_size,
    )
