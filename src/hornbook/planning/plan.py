"""The plan of a run: everything resolved before the first step. Frozen: nothing patches it later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from hornbook.config import RunConfig
from hornbook.data.batches import IGNORE, Batches, Draw, MixedBatches, WindowBatches, shared
from hornbook.data.part import Part
from hornbook.data.training_data import TrainingData
from hornbook.engine.compiled import Form
from hornbook.engine.step import Parallel
from hornbook.kernels.checkpointing import install_checkpointing
from hornbook.kernels.install import install
from hornbook.metrics.loss import scored_rows
from hornbook.metrics.text_index import TextIndex, text_index_of
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model
from hornbook.optim.schedules import Schedule
from hornbook.parallel.drawing import draw_rows
from hornbook.parallel.ranks import SINGLE, Ranks
from hornbook.parallel.shards import replicas_of
from hornbook.planning.decide.memory import MemoryEstimate
from hornbook.planning.decide.time_budget import TimeBudget
from hornbook.planning.decision import Decision
from hornbook.planning.shape import Shape, draw_of
from hornbook.planning.start import Start
from hornbook.planning.tuning import LARGE_PART, TRAINING_SAMPLE
from hornbook.stages import stage
from hornbook.tokenizers import Tokenizer

WINDOWS = 1 << 14  # contexts of the training part computed at once


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is going to be trained, on what, and how. Made by `planning.resolve`.

    config: all settings, as config.json keeps them. schedule: the learning rates, and with them the
    total steps, as planned. max_steps: of a small text, which no time budget exceeds.
    step_seconds: what a step took when it was measured, None where it was not.
    decisions: what hornbook chose itself, by setting or by name. notes: for the user. start: what it
    begins from, None where that is random weights.
    ranks: the processes that train it together, of which this is one. parallel: how.
    """

    config: RunConfig
    data: TrainingData
    device: torch.device
    shape: Shape
    schedule: Schedule
    threads: int
    precision: str = "fp32"
    compiled: Form = "no"
    step_seconds: float | None = None
    max_steps: int | None = None
    memory: MemoryEstimate | None = None
    time_budget: TimeBudget | None = None
    decisions: Mapping[str, Decision[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    start: Start | None = None
    ranks: Ranks = SINGLE
    parallel: Parallel = "ddp"

    @property
    def rows(self) -> int:
        """Rows or windows of a batch, of all ranks together."""
        return self.shape.rows(self.config.training.batch_size)

    @property
    def own_rows(self) -> int:
        """Rows or windows of a batch that a rank computes, at most."""
        return -(-self.rows // self.ranks.world_size)

    @property
    def rows_at_once(self) -> int:
        """Of these, those that are computed at once, at most."""
        return min(self.own_rows, self.config.training.micro_batch or self.own_rows)

    @property
    def shards(self) -> int:
        """Over how many processes weights, gradients and optimizer state are spread."""
        if self.parallel == "ddp":
            return 1
        return self.ranks.world_size // replicas_of(
            self.config.training.replicas, self.ranks.world_size
        )

    @property
    def tokens_per_step(self) -> float:
        """Tokens predicted in a step, on average."""
        return self.shape.tokens_per_step(self.config.training.batch_size)

    def build_model(self) -> LanguageModel:
        """The model with its first weights, random or the base's, what it counts of the training part
        counted, and faster kernels unless the settings ask for the reference. Seeds torch's global
        generator."""
        tokenizer, training = self.data.tokenizer, self.config.training
        torch.manual_seed(training.seed)
        model = build_model(self.config.model, tokenizer.vocab_size, tokenizer.end_id)
        known = self.data.counted.get(model.counting)
        if known is not None:
            model.take_counts(known)
        elif model.counted:
            with stage("counting"):
                fit(model, self.data.train, tokenizer)
            if model.counting is not None:
                self.data.counted[model.counting] = model
        if self.start is not None:
            self.start.begin(model)
        model = model.to(self.device)
        self._install(model)
        return model

    def build_rows(self) -> tuple[LanguageModel, dict[str, Tensor] | None]:
        """The model as this process begins to train it.

        Of sharded weights that begin at random it is on `meta`, with the rows of this process beside
        it, where it can be built so.
        """
        tokenizer, training = self.data.tokenizer, self.config.training
        if self.shards == 1 or self.start is not None or self.shape.counted:
            return self.build_model(), None
        torch.manual_seed(training.seed)
        index = self.ranks.rank % self.shards
        try:
            model, rows = draw_rows(
                self.config.model, tokenizer.vocab_size, tokenizer.end_id, index, self.shards
            )
        except NotImplementedError:
            return self.build_model(), None
        self._install(model)
        return model, {name: tensor.to(self.device) for name, tensor in rows.items()}

    def _install(self, model: LanguageModel) -> None:
        """What computes the model otherwise than its textbook form."""
        if not self.config.training.reference:
            install(model, self.device)
        if self.config.training.checkpointing == "yes":
            install_checkpointing(model)

    def build_batches(self) -> Batches:
        """The batches of the training part."""
        draw, replay = draw_of(self.config.training, self.ranks), self.config.finetuning.replay
        new = self.shape.build_batches(self.read_part, draw, self.device)
        if not replay or self.start is None or self.start.old is None:
            return new
        own, other = shared(draw, replay, new.batch_size)
        new = self.shape.build_batches(self.read_part, own, self.device)
        return MixedBatches(new, self.shape.build_batches(self.start.old.train, other, self.device))

    @cached_property
    def _divided(self) -> tuple[Part, Part | None]:
        train, n = self.data.train, self.shape.held_back
        return train.hold_back(n, self.data.tokenizer) if n else (train, None)

    @property
    def read_part(self) -> Part:
        """The training part without what is held back: what batches are drawn from."""
        return self._divided[0]

    def calibrate(self, model: LanguageModel) -> None:
        """Before an evaluation: what the model measures, on the training part and what is held back."""
        model.calibrate(self.training_windows, partial(self._held_back_rows, model))

    def _held_back_rows(self, model: LanguageModel) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows of what is held back: ids and targets, (B, T) each."""
        part = self._divided[1]
        if part is None:
            return
        for positions, scored, ids, targets in scored_rows(model, part):
            if part.scored is not None:
                scored = scored & part.scored[positions.clip(min=0)]
            unscored = torch.from_numpy(~scored).to(targets.device)
            yield ids, targets.masked_fill(unscored, IGNORE)

    @cached_property
    def old_sample(self) -> list[Part]:
        """What the loss on the text of the base is estimated on while training; nothing without it."""
        if self.start is None or self.start.old is None:
            return []
        return self.start.old.sample(max(1, self.shape.context_length), self.data.tokenizer)

    def training_windows(self) -> Iterator[Tensor]:
        """The contexts of all predictions of the training part in order, (n, context) each; of a
        large part about LARGE_PART of them, evenly spread."""
        draw = Draw(batch_size="all", seed=0)
        part, device = self.data.train, self.device
        batches = WindowBatches(part, self.shape.context_length, draw, device)
        n = part.n_targets
        stride = -(-n // LARGE_PART)  # every window, but of a large part
        for first in range(0, n, WINDOWS * stride):
            last = torch.arange(first, min(first + WINDOWS * stride, n), stride, device=device)
            yield batches.windows(last)

    @cached_property
    def training_sample(self) -> list[Part]:
        """What the loss on the training part is estimated on: the same at each evaluation. Nothing
        where the validation part is the training part again."""
        if not self.data.split.held_out:
            return []
        block, tokenizer = self.shape.context_length, self.data.tokenizer
        return self.data.train.spread(TRAINING_SAMPLE, block, tokenizer)

    @property
    def tokens_per_evaluation(self) -> int:
        """Tokens that an evaluation while training scores."""
        samples = [*self.training_sample, *self.old_sample]
        return self.data.validation.n_targets + sum(p.n_targets for p in samples)

    @cached_property
    def text_index(self) -> TextIndex:
        """What samples of the model are compared with."""
        return text_index_of(self.data.split)


def fit(model: LanguageModel, train: Part, tokenizer: Tokenizer) -> None:
    """Has a model count a training part, of a large one to LARGE_PART of its tokens."""
    part = train.subset(LARGE_PART, tokenizer)
    tokens = torch.from_numpy(part.tokens.astype("int64"))
    model.fit(tokens, torch.from_numpy(part.starts))
