"""The sizes at which a text is treated differently: what is held in memory, what goes to disk."""

from __future__ import annotations

from dataclasses import dataclass

from hornbook.data.tuning import CHUNK_BYTES


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A corpus keeps the limits that it was read with, so that everything made of it agrees.

    in_memory: bytes; a smaller text is held in memory, of a larger one there are excerpts.
    excerpt: characters of a text, or tokens of a part, in an excerpt.
    line: characters of the longest document of a text that is not held in memory.
    chunk: bytes read at a time.
    """

    in_memory: int = 1 << 25
    excerpt: int = 1 << 20
    line: int = 1 << 24
    chunk: int = CHUNK_BYTES


LIMITS = Limits()
