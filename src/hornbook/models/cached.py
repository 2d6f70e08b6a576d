"""Models of bounded context that keep what they computed of the rows they continue."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor

from hornbook.models.base import LanguageModel, State
from hornbook.models.replayed import replayed_read, version_of


class CachedModel(LanguageModel):
    """A model whose new token costs one place, not the whole row.

    What is kept of a token depends on its place and on all tokens since the anchor, so it cannot be
    used after the oldest of them is forgotten. Once the context is full, the newer half is therefore
    read again from its own beginning, a new anchor: context_length / 2 places for as many tokens.
    Every prediction equals `forward`'s of the last n tokens, where n is between context_length / 2
    and context_length.
    """

    @abstractmethod
    def empty(self, ids: Tensor) -> list[Any]:
        """What is kept before anything is read, for rows like ids (B, T): see `State.kept`."""

    @abstractmethod
    def read(self, ids: Tensor, state: State) -> Tensor:
        """Reads ids (B, T) at the places from state.length on -> logits after the last, (B, V).

        T is any at first, 1 from then on.
        """

    def start(self, ids: Tensor) -> tuple[Tensor, State]:
        """The last `context_length` tokens, from an anchor at the first of them."""
        ids = ids[:, -self.context_length :]
        state = State(ids, self.empty(ids))
        state.version = version_of(self) if len(ids) == 1 else None
        logits = self.read(ids, state)
        state.length = ids.shape[1]
        return logits, state

    def step(self, ids: Tensor, state: State) -> Tensor:
        """One place, or half a context where it is full."""
        state.append(ids)
        if state.length == self.context_length:
            newer = state.ids[:, -max(1, self.context_length // 2) :]
            logits, fresh = self.start(newer)
            state.ids, state.kept, state.length = fresh.ids, fresh.kept, fresh.length
            state.version = fresh.version
            return logits
        replayed = replayed_read(self, state)
        logits = self.read(ids[:, None], state) if replayed is None else replayed
        state.length += 1
        return logits
