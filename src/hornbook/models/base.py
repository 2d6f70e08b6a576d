"""The contract that every model meets: `forward(ids: (B, T) int64) -> logits: (B, T, V)`.

Loss, generation and evaluation are outside the models, and nothing outside asks which one it has.
What they may ask is declared here. B batch, T positions, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hornbook.config import ModelConfig
from hornbook.errors import ConfigError, RunError
from hornbook.layers.basic import ONE_EXAMPLE, BatchNorm1d
from hornbook.layers.cache import Compaction

Window = Literal["half", "sliding"]  # what is read again when the context is full


class LanguageModel(nn.Module, ABC):
    """A next-token model over ids 0 .. vocab_size - 1.

    logits[b, t] predicts ids[b, t + 1] from ids[b, : t + 1]; of packed documents only from those of
    its own document (`end_id` starts each; None for a stream).

    context_length: how many tokens back a prediction sees.
    sliding: forward takes rows of any length, and each prediction sees exactly the last
        `context_length` tokens; otherwise rows are at most `context_length` long.
    examples: the batches it is trained on unless others are requested (`data/batches.py`).
    counted: `fit` counts the training part before anything else is done with the model.
    fitted: that is all: it is not trained by gradients.
    fixed_step: a training step is the same few operations whatever the batch, each parameter in
        one of them, so that they can be traced once (`engine/`).
    """

    sliding: ClassVar[bool] = False
    examples: ClassVar[Literal["sequences", "windows"]] = "sequences"
    counted: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    fixed_step: ClassVar[bool] = False

    def __init__(
        self, config: ModelConfig, vocab_size: int, end_id: int | None, context_length: int
    ) -> None:
        super().__init__()
        self.config: ModelConfig = config
        self.vocab_size = vocab_size
        self.end_id = end_id
        self.context_length = context_length

    @abstractmethod
    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) int64 -> logits (B, T, V) float."""

    def __call__(self, ids: Tensor | Sequence[Any] | NDArray[Any], *others: Any) -> Tensor:
        """`forward`, also of ids in another form: of any integers, a list, a NumPy array, or one row
        without its dimension (T,). Raises TypeError for what is none of these, or for the
        notes' targets beside ids."""
        if others:
            raise TypeError(
                f"{type(self).__name__}: called with {1 + len(others)} arguments, expected ids alone; "
                "a model returns logits. hornbook.notes.LessonModel(model) has the notes' "
                "model(idx, targets) and generate"
            )
        if not (isinstance(ids, Tensor) and ids.dtype == torch.int64 and ids.ndim == 2):
            ids = as_ids(ids).to(self.device)
        logits: Tensor = super().__call__(ids)
        return logits

    def window_logits(self, windows: Tensor) -> Tensor:
        """The logits after full windows, (B, context_length) -> (B, V): `next_logits` of rows that
        repeat the id that starts a document in the positions before it."""
        return self.next_logits(windows)

    def next_logits(self, ids: Tensor) -> Tensor:
        """The logits after the last position alone, (B, T) -> (B, V).

        A model that can do so for less than the whole row overrides it.
        """
        return self(ids)[:, -1]

    def training_logits(self, ids: Tensor, targets: Tensor) -> Tensor:
        """The logits that a loss on the training part is computed from, like `forward`'s (B, T, V); of
        full windows, targets (B,), those after them (B, V).

        A model that has counted the training part overrides it, and predicts each target as if that
        had not been counted (below 0: no target).
        """
        return self(ids) if targets.ndim == 2 else self.window_logits(ids)

    def start(self, ids: Tensor, window: Window = "half") -> tuple[Tensor, DecodingState]:
        """Reads rows to be continued, (B, T), each of one document (or stream) from its start.

        Returns the logits after the last position (B, V), those of `next_logits`, and the state that
        the caller passes to `step`. Of longer rows only the last `context_length` tokens are read.
        Without gradients. window: how text beyond the context is continued by a model whose cache
        then has to be made again (`models/cached.py`); it makes no difference to the others.
        """
        state = DecodingState(ids[:, -self.context_length :])
        return self.next_logits(state.ids), state

    def step(self, ids: Tensor, state: DecodingState) -> Tensor:
        """Appends one token per row, (B,), to the state -> the logits after it, (B, V).

        Not the end of a document: what follows that is a new start. Here the last `context_length`
        tokens are read again; a model that needs less overrides both methods.
        """
        state.append(ids)
        state.ids = state.ids[:, -self.context_length :]
        return self.next_logits(state.ids)

    def fit(self, tokens: Tensor, starts: Tensor) -> None:
        """Fits a model with `counted` to a part: its tokens (N,) and unit starts (`data/part.py`)."""
        raise NotImplementedError(f"{self.config.name} is trained by gradients")

    @property
    def counting(self) -> Hashable:
        """What `fit` depends on besides the text; models for which it is equal, and not None, may take
        over each other's counts."""
        return None

    def take_counts(self, other: Any) -> None:
        """Shares what a model with the same `counting` has counted, without copying it."""
        raise NotImplementedError(f"{self.config.name} counts by itself")

    def fit_bytes(self, n_tokens: int) -> int:
        """Bytes of memory that `fit` takes for so many tokens, at most; a model with `counted` says."""
        raise NotImplementedError(f"{self.config.name} is trained by gradients")

    def calibrate(self, windows: Callable[[], Iterable[Tensor]]) -> None:
        """Called before each evaluation in training, for statistics that are measured, not trained.

        `windows()` yields the contexts of all predictions of the training part in batches,
        (n, context_length) each. A model with nothing to measure ignores it.
        """

    def check_windows(self, n: int) -> None:
        """Raises ConfigError where batches of n windows are too small to train on."""
        if n == 1 and any(isinstance(module, BatchNorm1d) for module in self.modules()):
            raise ConfigError(ONE_EXAMPLE)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Copies parameters and buffers, named as in `state_dict`.

        Raises RunError where a name, shape or dtype does not fit this model.
        """
        self.check_weights(weights)
        self.load_state_dict(dict(weights))

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Raises RunError where a name, shape or dtype does not fit. Values are not read, so tensors
        and model may be on the device `meta`."""
        own = self.state_dict()
        check_names(own.keys(), weights.keys())
        for name, tensor in weights.items():
            if tensor.shape != own[name].shape or tensor.dtype != own[name].dtype:
                raise RunError(
                    f"weights do not fit the model: {name}: found {tuple(tensor.shape)} "
                    f"{tensor.dtype}, expected {tuple(own[name].shape)} {own[name].dtype}"
                )

    @property
    def n_parameters(self) -> int:
        """How many numbers are trained (in a count model: stored)."""
        return sum(p.numel() for p in self.parameters())

    @property
    def overlap(self) -> int:
        """How many tokens a row repeats of the one before, as context alone, where a text longer than a
        row is scored."""
        return self.context_length - 1 if self.sliding else 0

    @property
    def parts(self) -> Mapping[str, LanguageModel]:
        """Models that this one is made of and that predict by themselves, by name: the report has
        the loss of each."""
        return {}

    def part(self, name: str) -> LanguageModel:
        """One of `parts`. Raises ConfigError where none has this name."""
        if name not in self.parts:
            known = f"one of {', '.join(self.parts)}" if self.parts else "none"
            raise ConfigError(
                f"part: found {name!r}, expected {known}: the parts of this model ({self.config.name}) "
                "that predict by themselves"
            )
        return self.parts[name]

    @property
    def output(self) -> nn.Module | None:
        """The module that computes the logits, whose weights have a row or column for each token, or
        scale logits.

        The optimizer does not treat them as hidden. None in a model without one.
        """
        return None

    @property
    def device(self) -> torch.device:
        """The device of its tensors."""
        return next((t.device for t in self.state_dict().values()), torch.device("cpu"))

    def check_length(self, ids: Tensor) -> None:
        """Raises ValueError for rows that are longer than the context."""
        if ids.shape[1] > self.context_length:
            raise ValueError(
                f"found a row of {ids.shape[1]} tokens, expected at most {self.context_length} "
                "(context_length)"
            )


class DecodingState:
    """Rows that a model is continuing (`LanguageModel.start`); the decoder owns it.

    ids: the tokens that the model would read again, (B, T). cache: what it computed from them: tensors
    with rows first, or objects with `select` and `compact` (`layers/cache.py`). length: positions
    that the cache covers. window: see `LanguageModel.start`.
    """

    def __init__(
        self,
        ids: Tensor,
        cache: Iterable[Any] = (),
        length: Any = 0,
        window: Window = "half",
    ) -> None:
        self.ids = ids.clone()  # rows move in place, and the caller's must not
        self.window = window
        self.cache = list(cache)
        self.length: int = length  # a tensor while a step is traced

    def positions(self, n: int) -> Tensor:
        """The positions of the next n tokens, (n,)."""
        return self.length + torch.arange(n, device=self.ids.device)

    def append(self, ids: Tensor) -> None:
        """Appends one token per row, (B,), to ids."""
        self.ids = torch.cat([self.ids, ids[:, None]], dim=1)

    def select(self, rows: Tensor) -> None:
        """Replaces the rows by these (n,) of them, each as often as it is named."""
        self.ids = self.ids[rows]
        for i, part in enumerate(self.cache):
            if isinstance(part, Tensor):
                self.cache[i] = part[rows]
            else:
                part.select(rows)

    def compact(self, compaction: Compaction) -> None:
        """Lets rows leave; the others move as the compaction says."""
        self.ids = compaction(self.ids)
        for i, part in enumerate(self.cache):
            if isinstance(part, Tensor):
                self.cache[i] = compaction(part)
            else:
                part.compact(compaction)


def as_ids(ids: Any) -> Tensor:
    """Token ids in any form as a tensor (B, T) int64; of one row (T,), B is 1. Raises TypeError."""
    array = None if isinstance(ids, str | bytes) else np.asarray(ids)
    if array is None or array.dtype.kind not in "iu" or array.ndim not in (1, 2):
        shown = f"{type(ids).__name__} of {array.dtype}" if array is not None else repr(ids)
        raise TypeError(
            f"a model reads token ids, a tensor (B, T) of int64: found {shown}; `run.encode(text)` "
            "makes one of a text"
        )
    return torch.from_numpy(array.astype(np.int64)).view(-1, array.shape[-1])


def check_names(expected: Iterable[str], found: Iterable[str]) -> None:
    """Raises RunError unless the names of weights are the expected ones."""
    expected, found = set(expected), set(found)
    if missing := sorted(expected - found):
        raise RunError(f"weights do not fit the model: found no {missing[0]!r}, expected one")
    if unknown := sorted(found - expected):
        raise RunError(f"weights do not fit the model: found {unknown[0]!r}, expected no such name")


def check_divides(config: ModelConfig, part: str, whole: str) -> None:
    """Raises ConfigError unless the field `part` divides the field `whole`."""
    a, b = getattr(config, part), getattr(config, whole)
    if b % a:
        raise ConfigError(f"model.{part}: found {a}, expected a divisor of model.{whole} ({b})")
