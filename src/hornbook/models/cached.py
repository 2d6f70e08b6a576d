"""Models of bounded context that cache what they computed for the rows they continue.

B batch, T positions, V vocabulary.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from hornbook.models.base import DecodingState, LanguageModel, Window


class CachedModel(LanguageModel):
    """A model whose new token costs one position, not the whole row.

    The cache of a token depends on its position and on all tokens since the first of the row, so it
    is useless once the first is forgotten. When the context is full, the newest tokens are therefore
    read again as a row of their own, and every prediction equals `forward`'s of the last n tokens:

    | window  | read again                              | n                               |
    | ------- | --------------------------------------- | ------------------------------- |
    | half    | the newer half, once for as many tokens | context_length / 2 to the whole |
    | sliding | the whole context, for each token       | context_length (the notes)      |

    traceable: `read` is the same operations whatever the tokens, so that it can be traced once.
    ragged: `read` of one token also takes rows at different positions: then `state.length` has that of
    each, (B, 1), and the cache is one of `kernels/ragged.py`.
    """

    traceable: ClassVar[bool] = True
    ragged: ClassVar[bool] = True

    @abstractmethod
    def empty_cache(self, ids: Tensor) -> list[Any]:
        """The cache before anything is read, for rows like ids (B, T): see `DecodingState.cache`."""

    @abstractmethod
    def read(self, ids: Tensor, state: DecodingState) -> Tensor:
        """Reads ids (B, T) at the positions from state.length on -> logits after the last, (B, V).

        T is any at first, 1 from then on.
        """

    def start(self, ids: Tensor, window: Window = "half") -> tuple[Tensor, DecodingState]:
        """Reads the last `context_length` tokens as a row of their own."""
        ids = ids[:, -self.context_length :]
        state = DecodingState(ids, self.empty_cache(ids), window=window)
        logits = self.read(ids, state)
        state.length = ids.shape[1]
        return logits, state

    def step(self, ids: Tensor, state: DecodingState) -> Tensor:
        """Reads one position, or what the window says when the context is full."""
        state.append(ids)
        if state.length == self.context_length:
            sliding = state.window == "sliding"
            n = self.context_length if sliding else max(1, self.context_length // 2)
            logits, fresh = self.start(state.ids[:, -n:], state.window)
            state.ids, state.cache, state.length = fresh.ids, fresh.cache, fresh.length
            return logits
        logits = self.read(ids[:, None], state)
        state.length += 1
        return logits


class EmbeddingModel(CachedModel):
    """A model that begins with an embedding of each token, to which something may be added.

    added: (B, T, C), of the positions that are read; nothing where it is None.
    """

    @property
    def adaptable(self) -> list[str]:
        """The linear layers of its blocks."""
        return [
            name
            for name, module in self.named_modules()
            if name.startswith("blocks.") and isinstance(module, nn.Linear)
        ]

    @abstractmethod
    def forward(self, ids: Tensor, added: Tensor | None = None) -> Tensor:
        """(B, T) -> (B, T, V)."""

    @abstractmethod
    def read(self, ids: Tensor, state: DecodingState, added: Tensor | None = None) -> Tensor:
        """`CachedModel.read`."""
