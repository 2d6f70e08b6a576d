"""Lines that are pieces of longer texts: FASTA, sequences and prose broken at a fixed width.

Read as documents, one a line, pieces of one text would fall into both the training part and the test.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MOST_LINES = 20_000  # inspected
FEWEST_LINES = 20
WIDTHS = range(30, 201)  # characters at which prose is broken
WORDS = 4  # in the median line of prose
FULL = 0.6  # share of lines of one and the same width, from which on they are wrapped
TIGHT = 0.7  # share of lines that the first word of the next would not have fitted into


SAME_WORDS = 0.5  # share of lines of one number of words, from which on they are rows of a table
JOIN = "join the lines of each text into one"


@dataclass(frozen=True)
class Wrapping:
    """How lines are pieces of longer texts, or, where it is not certain, may be.

    remedy: what to do in order to read these texts as documents.
    """

    description: str
    certain: bool = True
    remedy: str = JOIN


def find_wrapping(lines: Sequence[str]) -> Wrapping | None:
    """How lines, none of them blank, are pieces of longer texts; None where they are not."""
    lines = lines[:MOST_LINES]
    if lines and lines[0].startswith(">"):
        return _fasta(lines)
    if len(lines) < FEWEST_LINES:
        return None
    if statistics.median(len(line.split()) for line in lines) <= 1:
        return _sequence(lines)
    return _prose(lines)


def _fasta(lines: Sequence[str]) -> Wrapping | None:
    """Records of a header, which begins with >, and a sequence in one line or several."""
    sequences = [line for line in lines if not line.startswith(">")]
    if not sequences or any(" " in line.strip() for line in sequences):
        return None
    inside = [a for a, b in pairwise(lines) if ">" not in (a[0], b[0])]
    width = max(map(len, inside), default=0)
    full = sum(len(line) == width for line in inside)
    if inside and full > 0.9 * len(inside):
        return Wrapping(
            f"FASTA records wrapped at {width} characters",
            remedy="use --separator fasta",
        )
    return Wrapping(
        "FASTA records, whose headers (lines that begin with >) are read as documents, too",
        certain=False,
        remedy="use --separator fasta to leave them out",
    )


def _sequence(lines: Sequence[str]) -> Wrapping | None:
    """Lines of one word that are all of one width but where a sequence ends."""
    width = max(map(len, lines))
    full = sum(len(line) == width for line in lines)
    if width < WIDTHS[0] or full < FULL * len(lines):
        return None
    if full == len(lines):  # also a list of codes, or of reads of one length
        return _of_one_width(width)
    return Wrapping(f"sequences wrapped at {width} characters")


def _prose(lines: Sequence[str]) -> Wrapping | None:
    """Lines of several words, each as long as the next word allowed."""
    lengths = sorted(map(len, lines))
    width = lengths[int(0.98 * (len(lengths) - 1))]  # a word may be longer than the width
    counts = Counter(len(line.split()) for line in lines)
    table = counts.most_common(1)[0][1] > SAME_WORDS * len(lines)
    if width not in WIDTHS or table or statistics.median(counts.elements()) < WORDS:
        return None
    tight = sum(len(a) + 1 + len(b.split(maxsplit=1)[0]) > width for a, b in pairwise(lines))
    if tight < TIGHT * (len(lines) - 1):
        return None
    if lengths.count(width) > FULL * len(lines):  # also texts that were cut
        return _of_one_width(width)
    return Wrapping(f"prose wrapped at {width} characters")


def _of_one_width(width: int) -> Wrapping:
    return Wrapping(
        f"lines of exactly {width} characters, read as documents",
        certain=False,
        remedy=f"if they are pieces of longer texts, use --kind stream, or {JOIN}",
    )
