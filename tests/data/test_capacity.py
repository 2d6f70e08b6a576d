"""What in a text takes the capacity of a small model."""

from __future__ import annotations

import pytest

from hornbook.data.capacity import find_burdens


@pytest.mark.parametrize(
    ("text", "what", "example"),
    [
        ("<b>emma</b> &amp; ava " * 9, "markup", "<b>"),
        ("see https://example.com/a?b=1 now " * 9, "addresses", "https://example.com/a?b=1"),
        ("1f0e2d3c4b5a6978 emma " * 9, "ids", "1f0e2d3c4b5a6978"),
        ("2026-11-29T05:26:45Z started " * 9, "ids", "2026-11-29T05:26:45Z"),
    ],
)
def test_kinds_of_burdens_are_told_apart(text: str, what: str, example: str) -> None:
    (found,) = find_burdens(text)
    assert (found.what, found.example) == (what, example)
    share = len(example) / len(text.split()[0] + " " + " ".join(text.split()[1:]))
    assert found.share > share


def test_lines_that_most_documents_have_are_said() -> None:
    documents = [f"Dear {i} of you\nkind regards from all of us" for i in range(9)]
    (found,) = find_burdens("\n".join(documents), documents)
    assert found.example == "kind regards from all of us"
    assert found.what == "lines that most documents have"


def test_prose_and_names_carry_no_burden() -> None:
    assert find_burdens("First Citizen: speak, speak.\n" * 50, ["emma", "ava"] * 20) == []
    assert find_burdens("") == []
