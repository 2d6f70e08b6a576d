"""The contract that every model meets: `forward(ids: (B, T) int64) -> logits: (B, T, V)`.

Loss, generation and evaluation stand outside the models, and nothing outside asks which one it has.
What they may ask is declared here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from hornbook.config import ModelConfig
from hornbook.errors import ConfigError, RunError
from hornbook.layers.attention import CausalAttention
from hornbook.layers.basic import ONE_EXAMPLE, BatchNorm1d
from hornbook.layers.cache import Moves
from hornbook.layers.dropout import Dropout
from hornbook.layers.linear import Linear
from hornbook.layers.norms import RMSNorm


class LanguageModel(nn.Module, ABC):
    """A next-token model over ids 0 .. vocab_size - 1.

    logits[b, t] predicts ids[b, t + 1] from ids[b, : t + 1]; of packed documents only from those of
    its own document (`end_id` starts each; None for a stream).

    context_length: how many tokens back a prediction sees.
    sliding: forward takes rows of any length, and each prediction sees exactly the last
        `context_length` tokens; otherwise rows are at most `context_length` long.
    examples: the batches it is trained on unless told otherwise (`data/batches.py`).
    fitted: it is fitted by `fit` in one pass (counts), not trained by gradients.
    replayed: its update is the same few operations whatever the batch, each parameter in one of them,
        so that they may be recorded (`training/replay.py`).
    """

    sliding: ClassVar[bool] = False
    examples: ClassVar[Literal["sequences", "windows"]] = "sequences"
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

    def __call__(self, ids: Tensor) -> Tensor:
        """Typed for the readers of calls: see `forward`."""
        logits: Tensor = super().__call__(ids)
        return logits

    def window_logits(self, windows: Tensor) -> Tensor:
        """The logits after full windows, (B, context_length) -> (B, V): `next_logits` of rows in
        which what stands before a document repeats the id that starts it."""
        return self.next_logits(windows)

    def next_logits(self, ids: Tensor) -> Tensor:
        """The logits after the last place alone, (B, T) -> (B, V).

        A model that can do so for less than the whole row overrides it.
        """
        return self(ids)[:, -1]

    def start(self, ids: Tensor) -> tuple[Tensor, State]:
        """Reads rows to be continued, (B, T), each of one document (or stream) from its start.

        Gives the logits after the last place (B, V), those of `next_logits`, and what `step` needs.
        Of longer rows only the last `context_length` tokens are read. Without gradients.
        """
        state = State(ids[:, -self.context_length :])
        return self.next_logits(state.ids), state

    def step(self, ids: Tensor, state: State) -> Tensor:
        """One more token a row, (B,) -> the logits after it, (B, V); the state goes on with it.

        Not the end of a document: what comes after that is a new start. Here the last
        `context_length` tokens are read again; a model that can do with less overrides both.
        """
        state.append(ids)
        state.ids = state.ids[:, -self.context_length :]
        return self.next_logits(state.ids)

    def fit(self, tokens: Tensor, starts: Tensor) -> None:
        """Fits a model with `fitted` to a part: its tokens (N,) and unit starts (`data/part.py`)."""
        raise NotImplementedError(f"{self.config.name} is trained by gradients")

    def calibrate(self, windows: Callable[[], Iterable[Tensor]]) -> None:
        """Called before each evaluation in training, for what is measured rather than trained.

        `windows()` gives the contexts of all predictions of the training part, piece by piece,
        (n, context_length) each. A model with nothing to measure leaves it alone.
        """

    def check_windows(self, n: int) -> None:
        """Raises ConfigError where batches of n windows are too small to train on."""
        if n == 1 and any(isinstance(module, BatchNorm1d) for module in self.modules()):
            raise ConfigError(ONE_EXAMPLE)

    def compute_plainly(self, plain: bool) -> None:
        """Whether layers are computed step by step, not the fast way."""
        for module in self.modules():
            if isinstance(module, BatchNorm1d | CausalAttention | Dropout | Linear | RMSNorm):
                module.plain = plain

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Takes over the parameters and buffers that `state_dict` gave.

        Raises RunError where a name, shape or dtype does not fit this model.
        """
        self.check_weights(weights)
        self.load_state_dict(dict(weights))

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Raises RunError where a name, shape or dtype does not fit; looks at no values, so that
        tensors and model may lie on the device `meta`."""
        own = self.state_dict()
        if missing := sorted(own.keys() ^ weights.keys()):
            raise RunError(f"weights do not fit the model: {missing[0]!r} stands on one side only")
        for name, tensor in weights.items():
            if tensor.shape != own[name].shape or tensor.dtype != own[name].dtype:
                raise RunError(
                    f"weights do not fit the model: {name} is {tuple(tensor.shape)} {tensor.dtype}, "
                    f"expected {tuple(own[name].shape)} {own[name].dtype}"
                )

    @property
    def n_parameters(self) -> int:
        """How many numbers are trained (of a count model: how many are kept)."""
        return sum(p.numel() for p in self.parameters())

    @property
    def output(self) -> nn.Module | None:
        """The module that gives the logits, whose weight has a row or column for each symbol.

        The optimizer does not treat it as hidden. None where nothing of the kind is trained.
        """
        return None

    @property
    def device(self) -> torch.device:
        """Where its tensors lie."""
        return next((t.device for t in self.state_dict().values()), torch.device("cpu"))

    def check_length(self, ids: Tensor) -> None:
        """Raises ValueError for rows that are longer than the context."""
        if ids.shape[1] > self.context_length:
            raise ValueError(
                f"found a row of {ids.shape[1]} tokens, expected at most {self.context_length} "
                "(context_length)"
            )


Version = tuple[object, ...]


class State:
    """What a model keeps of the rows that it continues (`LanguageModel.start`).

    ids: the tokens that it would read again, (B, T). kept: what it computed of them: tensors with
    the rows first, or what has `branch` and `keep` of its own. length: how many places that covers.
    version: of the model, where its steps may be recorded (`models/replayed.py`).
    """

    def __init__(self, ids: Tensor, kept: Iterable[Any] = (), length: int = 0) -> None:
        self.ids = ids.clone()  # rows move in place, and the caller's are not to
        self.kept, self.length = list(kept), length
        self.version: Version | None = None

    def places(self, n: int) -> Tensor:
        """Where the next n tokens stand, (n,)."""
        return torch.arange(self.length, self.length + n, device=self.ids.device)

    def append(self, ids: Tensor) -> None:
        """One more token a row, (B,)."""
        self.ids = torch.cat([self.ids, ids[:, None]], dim=1)

    def branch(self, rows: Tensor) -> None:
        """Makes these rows (n,) the rows: each as often as it is named."""
        self.ids = self.ids[rows]
        for i, part in enumerate(self.kept):
            if isinstance(part, Tensor):
                self.kept[i] = part[rows]
            else:
                part.branch(rows)

    def leave(self, going: Tensor) -> Moves:
        """Lets the rows leave where `going` (B,) bool does not hold -> where the others moved."""
        moves = Moves.of(going)
        self.keep(moves)
        return moves

    def keep(self, moves: Moves) -> None:
        """Lets rows leave."""
        self.ids = moves(self.ids)
        for i, part in enumerate(self.kept):
            if isinstance(part, Tensor):
                self.kept[i] = moves(part)
            else:
                part.keep(moves)


def check_divides(config: ModelConfig, part: str, whole: str) -> None:
    """Raises ConfigError unless the field `part` divides the field `whole`."""
    a, b = getattr(config, part), getattr(config, whole)
    if b % a:
        raise ConfigError(f"model.{part}: found {a}, expected a divisor of model.{whole} ({b})")
