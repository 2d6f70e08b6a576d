"""A model with a cache as one function of tensors: token ids and what earlier calls returned.

    (input_ids, *past) -> (logits of the last position, *present)

`present` is the next `past`, in the same order. Zeros are the past of a new text; of keys and values
these are zeros of no positions.

B batch, T positions, P earlier positions, G heads of keys and values, D channels of a head, V
vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.layers.cache import KVCache
from hornbook.layers.convolution import ConvolutionCache
from hornbook.layers.pairs import PairEmbedding
from hornbook.models.base import DecodingState, LanguageModel
from hornbook.models.cached import CachedModel
from hornbook.models.kneser_ney import KneserNey

BATCH, SEQUENCE, PAST = "batch_size", "sequence_length", "past_sequence_length"
EXAMPLE = {BATCH: 3, SEQUENCE: 5, PAST: 4}  # sizes from 2 up, or they would be taken for constants


@dataclass(frozen=True)
class Value:
    """An input or output of a graph: its name, and its sizes, of which some have names."""

    name: str
    shape: tuple[int | str, ...]
    dtype: torch.dtype = torch.float32

    def example(self) -> Tensor:
        """Zeros of this shape, to trace a function with."""
        return torch.zeros([EXAMPLE[n] if isinstance(n, str) else n for n in self.shape]).to(
            self.dtype
        )


class PastKeyValues:
    """The keys and values of a layer, (B, G, P, D) each, which grow at each call."""

    def __init__(self, key: Tensor, value: Tensor) -> None:
        self.key, self.value = key, value

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """`KVCache.attend`, for any number of positions: each sees the earlier ones and itself."""
        self.key, self.value = torch.cat([self.key, k], 2), torch.cat([self.value, v], 2)
        T, S = q.shape[2], self.key.shape[2]  # noqa: N806
        earlier = torch.arange(S) <= torch.arange(S - T, S)[:, None]
        grouped = q.shape[1] != k.shape[1]
        return F.scaled_dot_product_attention(
            q, self.key, self.value, attn_mask=earlier, enable_gqa=grouped
        )


class PastInputs:
    """The last inputs of a convolution, (B, n, C)."""

    def __init__(self, buffer: Tensor) -> None:
        self.buffer = buffer

    def append(self, x: Tensor, n: int) -> Tensor:
        """`ConvolutionCache.append`."""
        joined = torch.cat([self.buffer, x], dim=1)
        self.buffer = joined[:, -n:]
        return joined


class CachedReader(nn.Module):
    """What is exported: reads T tokens after those in the past. model: with `onnx_forms.install`.

    state: of the textbook model after a few tokens, from which the shapes are known.
    """

    def __init__(self, model: LanguageModel, state: DecodingState, changed: list[bool]) -> None:
        super().__init__()
        self.model, self.parts, self.changed = model, list(state.cache), changed
        self.several = isinstance(model, CachedModel)  # tokens a call
        kinds = [type(module) for module in model.modules()]
        orders = [m.order for m in model.modules() if isinstance(m, KneserNey)]
        self.tokens_before = max([*orders, int(PairEmbedding in kinds)])  # that a call looks at
        self.attends = any(isinstance(part, KVCache) for part in self.parts)

    @property
    def past(self) -> list[Value]:
        """The inputs after `input_ids`."""
        return list(self._values("past_key_values", "past"))

    @property
    def present(self) -> list[Value]:
        """The outputs after `logits`."""
        return list(self._values("present", "present"))

    def _values(self, keys: str, other: str) -> Iterator[Value]:
        layer, n_past = 0, f"{other}_sequence_length"
        for i, part in enumerate(self.parts):
            if isinstance(part, KVCache):
                assert part.buffer is not None
                G, D = part.buffer.shape[3:]  # noqa: N806
                for name in ("key", "value"):
                    yield Value(f"{keys}.{layer}.{name}", (BATCH, G, n_past, D))
                layer += 1
            elif isinstance(part, ConvolutionCache):
                if part.buffer is not None:
                    name = f"{other}_convolution.{layer - 1}"
                    yield Value(name, (BATCH, *part.buffer.shape[1:]))
            elif self.changed[i]:
                yield Value(f"{other}_state.{i}", (BATCH, *part.shape[1:]))
        if self.tokens_before:
            yield Value(f"{other}_input_ids", (BATCH, n_past), torch.int64)
        if not self.attends:
            yield Value(f"{other}_length", (), torch.int64)

    def forward(self, input_ids: Tensor, past: list[Tensor]) -> tuple[Tensor, ...]:
        """input_ids (B, T) -> logits (B, 1, V) and the present."""
        given, cache, n = iter(past), list[Any](), input_ids.shape[0]
        length: Any = None
        for part, changed in zip(self.parts, self.changed, strict=True):
            if isinstance(part, KVCache):
                cache.append(PastKeyValues(next(given), next(given)))
                length = cache[-1].key.shape[2]
            elif isinstance(part, ConvolutionCache):
                cache.append(part if part.buffer is None else PastInputs(next(given)))
            else:  # what no step changes stays zero
                cache.append(next(given) if changed else torch.zeros(n, *part.shape[1:]))
        ids = input_ids
        if self.tokens_before:
            known = torch.cat([next(given), input_ids], dim=1)
            ids = F.pad(known, (self.tokens_before, 0), value=self.model.vocab_size)
        if not self.attends:
            length = next(given)
        state = DecodingState(ids, cache, length)
        if isinstance(self.model, CachedModel):
            logits = self.model.read(input_ids, state)
        else:
            logits = self.model.step(input_ids[:, 0], state)
        present = []
        for part, changed in zip(state.cache, self.changed, strict=True):
            if isinstance(part, PastKeyValues):
                present += [part.key, part.value]
            elif isinstance(part, PastInputs):
                present.append(part.buffer)
            elif isinstance(part, Tensor) and changed:
                present.append(part)
        if self.tokens_before:
            present.append(known)
        if not self.attends:
            present.append(length + input_ids.shape[1])
        return (logits[:, None], *present)


def cached_reader(textbook: LanguageModel, model: LanguageModel) -> CachedReader | None:
    """The function of a model with a cache; None for a model that has none that tensors can hold: of
    a window it reads all tokens again, and in a mixture each component has its own.

    model: the textbook with `onnx_forms.install`.
    """
    first, second = torch.tensor([[0], [1]]), torch.tensor([1, 0])
    with torch.no_grad():
        _, state = textbook.start(first)
        before = [part.clone() if isinstance(part, Tensor) else None for part in state.cache]
        if not before or any(isinstance(part, DecodingState) for part in state.cache):
            return None
        if textbook.context_length > 1:
            textbook.step(second, state)
    changed = [
        old is None or not torch.equal(old, new)
        for old, new in zip(before, state.cache, strict=True)
    ]
    return CachedReader(model, state, changed)
