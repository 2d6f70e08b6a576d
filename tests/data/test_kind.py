"""Telling documents, one a line, from a stream."""

from __future__ import annotations

import pytest

from hornbook.data.kind import detect_kind

POEM = "\n".join(f"a line of verse number {i} that is not so short, ending here" for i in range(30))
GAME = " ".join(f"{i}. e4 e5 Nf3 Nc6" for i in range(1, 20))


@pytest.mark.parametrize(
    ("text", "kind", "why"),
    [
        ("\n".join(f"name{i}" for i in range(40)), "documents", "40 lines of 6 characters"),
        ("\n".join(f"{GAME} {i}" for i in range(60)), "documents", "60 lines"),
        ("\n".join(f"a recipe with {i} eggs and some flour" for i in range(300)), "documents", ""),
        (POEM, "stream", "too few for a list"),
        ("def f(x):\n    return x\n" * 50, "stream", "indented"),
        ("First Citizen:\nSpeak, speak.\n\n" * 200, "stream", "blank"),
        ("one long line " * 1000, "stream", "1 line of 13,999 characters"),
        ("", "stream", ""),
    ],
)
def test_kinds_are_told_apart_and_the_reason_is_given(text: str, kind: str, why: str) -> None:
    found, reason = detect_kind(text.rstrip(" "))
    assert found == kind
    assert why in reason
