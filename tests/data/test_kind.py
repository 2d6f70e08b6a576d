"""Telling documents, one a line, from a stream."""

from __future__ import annotations

import pytest

from hornbook.data.kind import decide_kind, detect_kind

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


SEQUENCE = "ACGT" * 15
FASTA = "".join(f">protein {i}\n{SEQUENCE}\n{SEQUENCE}\n{SEQUENCE[:i]}\n" for i in range(1, 60))


def test_pieces_of_longer_texts_are_a_stream_and_both_ways_on_are_named() -> None:
    kind, why, note = decide_kind("auto", FASTA, whole=True)
    assert (kind, why) == ("stream", "FASTA records wrapped at 60 characters")
    assert "read as one stream; to read documents, use --separator fasta" in note


def test_pieces_that_are_requested_as_documents_are_said() -> None:
    kind, why, note = decide_kind("documents", FASTA, whole=True)
    assert (kind, why) == ("documents", "as requested")
    assert "pieces of one text fall into both training and test; use --kind stream" in note
    assert decide_kind("stream", FASTA, whole=True) == ("stream", "as requested", "")


def test_documents_need_no_note() -> None:
    text = "\n".join(f"name{i}" for i in range(40))
    kind, why, note = decide_kind("auto", text, whole=False)
    assert (kind, note) == ("documents", "")
    assert why.endswith("in its first 269 characters")
