"""Lines that are pieces of longer texts are told from documents."""

from __future__ import annotations

import random
import textwrap

import pytest

from hornbook.data.wrapping import find_wrapping

RNG = random.Random(0)
WORDS = [
    "".join(RNG.choices("abcdefghij", k=RNG.choice([1, 2, 3, 4, 5, 7, 9]))) for _ in range(500)
]


def prose(n: int) -> str:
    return " ".join(RNG.choices(WORDS, k=n))


def protein() -> str:
    return "".join(RNG.choices("ACDEFGHIKLMNPQRSTVWY", k=RNG.randint(90, 400)))


def wrap(text: str, width: int) -> list[str]:
    return [text[i : i + width] for i in range(0, len(text), width)]


PARAGRAPHS = [prose(RNG.randint(30, 120)) for _ in range(60)]
RECORDS = [(f">sp|P{i}", protein()) for i in range(60)]
CHARACTERS = "".join(chr(0x4E00 + i) for i in range(500))


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([line for p in PARAGRAPHS for line in textwrap.wrap(p, 72)], "prose wrapped at 72"),
        (
            [x for head, text in RECORDS for x in (head, *wrap(text, 60))],
            "FASTA records wrapped at",
        ),
        (wrap("".join(text for _, text in RECORDS), 70), "sequences wrapped at 70 characters"),
        ([x for i in range(9) for x in wrap(CHARACTERS[i:], 40)], "sequences wrapped at 40"),
    ],
    ids=["prose", "FASTA", "sequence", "characters"],
)
def test_pieces_are_known_and_so_is_their_width(lines: list[str], found: str) -> None:
    wrapping = find_wrapping(lines)
    assert wrapping is not None
    assert wrapping.description.startswith(found)
    assert wrapping.certain
    assert wrapping.remedy.startswith(("join the lines of each", "use --separator fasta"))


@pytest.mark.parametrize(
    ("lines", "remedy"),
    [
        ([x for record in RECORDS for x in record], "use --separator fasta"),
        (["".join(RNG.choices("ACGT", k=100)) for _ in range(200)], "if they are pieces"),
        ([prose(60)[:140] for _ in range(400)], "if they are pieces"),
    ],
    ids=["FASTA in one line", "of one length", "cut"],
)
def test_what_may_be_meant_as_documents_is_named(lines: list[str], remedy: str) -> None:
    wrapping = find_wrapping(lines)
    assert wrapping is not None
    assert not wrapping.certain
    assert wrapping.remedy.startswith(remedy)


@pytest.mark.parametrize(
    "lines",
    [
        WORDS,
        PARAGRAPHS,
        [text for _, text in RECORDS],
        [prose(RNG.randint(5, 18)) for _ in range(400)],
        ["".join(RNG.choices("abcdef", k=5)) for _ in range(400)],
        [f"10.0.0.{i} GET /{WORDS[i]} HTTP/1.1 200 {RNG.randint(1, 99999)}" for i in range(250)],
        [f"2024-01-{i % 20 + 10} 12:00:00 level {i % 900 + 100} ok" for i in range(400)],
        ["> quoted text", "> and more of it"] * 50,
        ["one", "two"],
        [],
    ],
    ids=["words", "paragraphs", "proteins", "sentences", "short", "logs", "table", "quotes",
         "few", "none"],
)  # fmt: skip
def test_documents_are_not_taken_for_pieces(lines: list[str]) -> None:
    assert find_wrapping(lines) is None
