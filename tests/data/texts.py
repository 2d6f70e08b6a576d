"""Texts that the tests of data share, and limits that make small ones count as large."""

from __future__ import annotations

from hypothesis import strategies as st

from hornbook.data.limits import Limits
from hornbook.tokenizers import END

NAMES = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in ("na", "ra", "lisa", "to")]
BOTTLES = "".join(f"{i} green bottles,\n\nhanging on the wæll. " for i in range(400))

FROM_MEMORY = Limits(in_memory=1 << 40, in_cache=1 << 40)
MAPPED = Limits(in_memory=1 << 40, in_cache=0)  # held in memory, tokens in the cache
FROM_FILE = Limits(in_memory=0, in_cache=0, chunk=300, excerpt=400)  # neither is in memory

CHARACTERS = st.sampled_from(
    [*"ab \n\r\t", "\r\n", "\n\n", "æ", "日", "😀", "\xa0", "\x85", "|", END]
)
TEXTS = st.lists(CHARACTERS, min_size=12, max_size=60).map("".join)


def plain(content: str) -> str:
    """A text with its line ends as \\n, by the rule that `reading` states."""
    content = content.replace("\r\n", "\n")
    return content if "\n" in content else content.replace("\r", "\n")
