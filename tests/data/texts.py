"""Texts that the tests of data share, and limits that make small ones count as large."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from hornbook.data.corpus import Corpus
from hornbook.data.limits import Limits
from hornbook.tokenizers import END, Tokenizer, build_tokenizer

NAMES = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in ("na", "ra", "lisa", "to")]
BOTTLES = "".join(f"{i} green bottles,\n\nhanging on the wæll. " for i in range(400))

FROM_MEMORY = Limits(in_memory=1 << 40)
FROM_FILE = Limits(in_memory=0, chunk=300, excerpt=400)  # its tokens are in the cache

CHARACTERS = st.sampled_from(
    [*"ab \n\r\t", "\r\n", "\n\n", "æ", "日", "😀", "\xa0", "\x85", "|", END]
)
TEXTS = st.lists(CHARACTERS, min_size=12, max_size=60).map("".join)


def plain(content: str) -> str:
    """A text with its line ends as \\n, by the rule that `reading` states."""
    cr = len(re.findall(r"\r(?![\r\n])", content)) > content.count("\n")
    content = re.sub(r"\r{1,8}\n", "\n", content)
    return content.replace("\r", "\n") if cr else content


def tokenizer_of(corpus: Corpus, kind: str = "char") -> Tokenizer:
    """A tokenizer built for a corpus."""
    return build_tokenizer(kind, corpus.alphabet, documents=corpus.kind == "documents")
