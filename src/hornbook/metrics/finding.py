"""What a measurement says, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A sentence about a model. good: nothing needs doing."""

    text: str
    good: bool = True
