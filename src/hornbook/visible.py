"""Texts on one line of a terminal: what cannot be printed as it is becomes an escape."""

from __future__ import annotations

import unicodedata

# invisible, yet part of words: soft hyphen, Arabic letter mark, zero-width space, (non-)joiner, marks
# of direction, word joiner, and the tags in flags of regions. Overrides of direction are not.
PARTS_OF_WORDS = frozenset("\xad\u061c\u200b\u200c\u200d\u200e\u200f\u2060") | frozenset(
    map(chr, range(0xE0020, 0xE0080))
)


def visible(text: str) -> str:
    r"""A text on one line: control characters escaped, and an invisible character that stands alone.

    >>> print(visible("a\tb"), visible("\u200d"))
    a\tb \u200d
    """
    alone = len(text) == 1
    return "".join(
        c if c.isprintable() or (not alone and _belongs(c)) else repr(c)[1:-1] for c in text
    )


def _belongs(character: str) -> bool:
    """Whether an unprintable character (by Python) is an ordinary part of text."""
    return character in PARTS_OF_WORDS or unicodedata.category(character) == "Zs"
