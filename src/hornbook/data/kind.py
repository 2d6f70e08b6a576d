"""Telling documents, one a line, from a stream."""

from __future__ import annotations

import statistics
from typing import Literal

from hornbook.data.wrapping import find_wrapping
from hornbook.errors import counted

Kind = Literal["documents", "stream"]
BLANK = "of its lines are blank"


def decide_kind(requested: str, text: str, *, whole: bool) -> tuple[Kind, str, str]:
    """The kind of a text, why, and a note about lines that are pieces of longer texts, or "".

    requested: auto, documents or stream. whole: `text` is all of it, not its beginning.
    """
    if requested == "stream":
        return "stream", "as requested", ""
    kind, why = "documents", "as requested"
    if requested == "auto":
        kind, why = detect_kind(text)
        why = why if whole else f"{why}, in its first {len(text):,} characters"
    if kind == "stream":
        return "stream", why, ""
    wrapping = find_wrapping([line for line in text.split("\n") if line.strip()])
    if wrapping is None:
        return "documents", why, ""
    found, remedy = wrapping.description, wrapping.remedy
    if not wrapping.certain:
        return "documents", why, f"{found}: {remedy}"
    if requested == "auto":
        return "stream", found, f"{found}: read as one stream; to read documents, {remedy}"
    pieces = "pieces of one text fall into both training and test"
    return "documents", why, f"{found}: {pieces}; use --kind stream, or {remedy}"


def detect_kind(text: str) -> tuple[Kind, str]:
    """Documents (one a line) or one stream, and why, unless lines are pieces of longer texts.

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
        return "stream", f"{blank:.0%} {BLANK}"
    if indented > 0.02:
        return "stream", f"{indented:.0%} of its lines are indented"
    words = statistics.median(len(line.split()) for line in filled) if filled else 0
    enough = 20 if (width <= 25 and words <= 2) or 120 < width <= 4000 else 200
    found = f"{counted(len(lines), 'line')} of {counted(round(width), 'character')} (median)"
    if width <= 4000 and len(lines) >= enough:
        return "documents", f"{found}, none blank or indented" if not blank + indented else found
    return "stream", f"{found}: too few for a list" if width <= 4000 else found
