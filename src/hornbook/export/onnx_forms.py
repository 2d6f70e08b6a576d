"""Forms of a model that ONNX has operations for, installed from outside as in `kernels/install.py`.

ONNX has no cumulative maximum, no search in a sorted table and no loop over a list of tensors. The
first two are replaced while the model is exported (`DECOMPOSITIONS`); layers that loop, or whose
operations depend on the length of a row, are swapped for subclasses of the same mathematics
(`install`).

B batch, T positions, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.layers.counts import find
from hornbook.layers.recurrent import GRU, LSTM, RNN, Recurrent
from hornbook.models.base import DecodingState, LanguageModel
from hornbook.models.bigram import Bigram
from hornbook.models.kneser_ney import KneserNey
from hornbook.models.ngram import NGram
from hornbook.models.wavenet import WaveNet

NO_TOKEN = 1 << 40  # no key of a context is so large


def cummax(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """torch.cummax along the last dimension, of integers from 0 up; the indices are not computed."""
    positions = torch.arange(x.shape[-1], device=x.device)
    earlier = positions <= positions[:, None]  # (T, T)
    values = torch.where(earlier, x[..., None, :], 0).amax(-1)
    return values, torch.zeros_like(values)


def searchsorted(table: Tensor, wanted: Tensor, **_: Any) -> Tensor:
    """torch.searchsorted of a vector: how many of its entries are smaller, by halving the distance."""
    powers = len(table).bit_length()
    # one entry before the first, so that n entries are compared with entry n; none is after the last
    after, largest = 2**powers - 1 - len(table), torch.iinfo(table.dtype).max
    padded = torch.cat([table[:1], table, table.new_full((after,), largest)])
    found = torch.zeros_like(wanted)
    for power in reversed(range(powers)):
        probe = found + 2**power
        found = torch.where(padded[probe] < wanted, probe, found)
    return found


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.cummax.default: cummax,
    torch.ops.aten.searchsorted.Tensor: searchsorted,
}
"""What replaces operations that ONNX does not have, for `ExportedProgram.run_decompositions`."""


class OneLookupBigram(Bigram):
    """All rows in one lookup; the chunks of the textbook form matter for its gradient alone."""

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        return F.embedding(ids, self.weight)


class ScannedRecurrent(Recurrent):
    """The loop over time as one operation, `Scan`, of any length."""

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """`Recurrent.forward`."""
        from torch._higher_order_ops import scan

        def step(state: list[Tensor], at: list[Tensor]) -> tuple[list[Tensor], Tensor]:
            h, c = self.step(at[0], state[0] * at[1], state[1] * at[1])
            return [h, c.clone()], h.clone()  # outputs of a scan must not be one tensor

        start = x.new_zeros(x.shape[0], self.hidden)
        over_time = [self.input(x).transpose(0, 1), keep.transpose(0, 1)[..., None]]
        _, outputs = scan(step, [start, start.clone()], over_time)
        out: Tensor = outputs.transpose(0, 1)
        return out


class ScannedRNN(ScannedRecurrent, RNN):
    """`RNN` with one scan."""


class ScannedLSTM(ScannedRecurrent, LSTM):
    """`LSTM` with one scan."""


class ScannedGRU(ScannedRecurrent, GRU):
    """`GRU` with one scan."""


class QueuedWaveNet(WaveNet):
    """A step whose caches are queues in place of rings; its position may be a tensor."""

    def step(self, ids: Tensor, state: DecodingState) -> Tensor:
        """`WaveNet.step`; the caches (B, 2^level, C) hold the oldest input first."""
        x = self.embedding(ids)  # (B, C)
        for level, join in enumerate(self.levels):
            queue = torch.where(torch.as_tensor(state.length) == 0, x[:, None], state.cache[level])
            joined = join(torch.cat([queue[:, 0], x], dim=-1))
            state.cache[level] = torch.cat([queue[:, 1:], x[:, None]], dim=1)
            if self.residual and level:
                joined = joined + x
            x = joined
        state.length = state.length + 1
        logits: Tensor = self.head(x)
        return logits


class SearchedNGram(NGram):
    """Looks up every (context, token) by a search, so that no shape depends on what is found."""

    def _blend(self, length: int, context: Tensor, p: Tensor) -> None:
        known, rank = context >= 0, context.clamp(min=0)
        p *= torch.where(known, self._table("backoff", length)[rank], 1.0)[:, None]
        p += entries(self, length, context, self._table("value", length))


class SearchedKneserNey(KneserNey):
    """Looks up every (context, token) by a search, so that no shape depends on what is found."""

    def log_probs(self, ids: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`KneserNey.log_probs`; ids from V on are no tokens, and no context reaches back to them."""
        return super().log_probs(torch.where(ids < self.vocab_size, ids, NO_TOKEN), targets)

    def _add(self, length: int, context: Tensor, share: Tensor, p: Tensor) -> None:
        p += share[:, None] * entries(self, length, context, self._table("left", length))


def entries(model: NGram | KneserNey, length: int, context: Tensor, value: Tensor) -> Tensor:
    """The table's value of every token after these contexts, (rows,) -> (rows, V); else 0."""
    tokens = torch.arange(model.vocab_size)
    wanted = context.clamp(min=0)[:, None] * model.vocab_size + tokens
    if not len(value):
        return torch.zeros_like(wanted, dtype=value.dtype)
    place = find(model.get_buffer(f"pairs_{length}"), wanted)
    found = (place >= 0) & (context >= 0)[:, None]
    return torch.where(found, value[place.clamp(min=0)], 0.0)


FORMS: dict[type[nn.Module], type[nn.Module]] = {
    Bigram: OneLookupBigram,
    GRU: ScannedGRU,
    KneserNey: SearchedKneserNey,
    LSTM: ScannedLSTM,
    NGram: SearchedNGram,
    RNN: ScannedRNN,
    WaveNet: QueuedWaveNet,
}


def install(model: LanguageModel) -> LanguageModel:
    """A copy of a model whose layers have the forms of this file; the weights are shared."""
    memo = {id(t): t for t in (*model.parameters(), *model.buffers())}
    made = copy.deepcopy(model, memo)
    for module in made.modules():
        if isinstance(module, NGram):
            register_pairs(module)
        if (form := FORMS.get(type(module))) is not None:
            module.__class__ = form
    return made.eval()


def register_pairs(model: NGram) -> None:
    """Adds sorted tables (context, token) as context * V + token, in which `entries` searches."""
    for length in range(model.order):
        offsets, following = (
            model.get_buffer(f"{table}_{length}") for table in ("offsets", "next")
        )
        context = torch.arange(len(offsets) - 1).repeat_interleave(offsets.diff())
        pairs = context * model.vocab_size + following
        model.register_buffer(f"pairs_{length}", pairs, persistent=False)
