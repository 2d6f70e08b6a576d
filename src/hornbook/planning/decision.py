"""What hornbook chose itself, with the reason: printing a plan is printing its decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Decision(Generic[T_co]):
    """A value and why it is that value, in a few words for the user."""

    value: T_co
    reason: str


REQUESTED = "requested"
