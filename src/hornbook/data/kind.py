"""Telling documents, one a line, from a stream."""

from __future__ import annotations

import statistics
from typing import Literal

from hornbook.errors import counted

Kind = Literal["documents", "stream"]


def detect_kind(text: str) -> tuple[Kind, str]:
    """Documents (one a line) or one stream, and why.

    Many short lines without blank or indented ones among them are documents. The number of lines
    that counts as many depends on their length: a few words may be a list, a few lines of ordinary
    width are rather a poem or a page, and longer lines are units of their own.
    """
    lines = text.strip("\n").split("\n")
    filled = [line for line in lines if line.strip()]
    blank = 1 - len(filled) / len(lines)
    indented = sum(line[0] in " \t" for line in filled) / max(1, len(filled))
    width = statistics.median(len(line) for line in filled) if filled else 0
    if blank > 0.02:
        return "stream", f"{blank:.0%} of its lines are blank"
    if indented > 0.02:
        return "stream", f"{indented:.0%} of its lines are indented"
    words = statistics.median(len(line.split()) for line in filled) if filled else 0
    enough = 20 if (width <= 25 and words <= 2) or 120 < width <= 4000 else 200
    found = f"{counted(len(lines), 'line')} of {counted(round(width), 'character')} (median)"
    if width <= 4000 and len(lines) >= enough:
        return "documents", f"{found}, none blank or indented" if not blank + indented else found
    return "stream", f"{found}: too few for a list" if width <= 4000 else found
