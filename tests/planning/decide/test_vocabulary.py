"""A large vocabulary is told what it costs and offered bytes."""

from __future__ import annotations

from typing import Any

import pytest

from hornbook.planning.decide.vocabulary import bytes_offer, tokenizer_kind, vocabulary_cost
from hornbook.tokenizers import build_tokenizer

HAN = "".join(chr(0x4E00 + i) for i in range(3000))


def test_a_large_vocabulary_is_offered_bytes() -> None:
    tokenizer = build_tokenizer("char", HAN, documents=False)
    assert bytes_offer(tokenizer) == "--tokenizer byte (256 tokens in place of 3,000)"
    found = vocabulary_cost(
        tokenizer, logits=1_000_000, bytes_per_token=3.0, parameters=(9_000_000, 65_536)
    )
    for words in ("3,000 different tokens", "4.0 MB at a time", "--tokenizer byte"):
        assert words in found
    assert "3.0 times as many tokens and the model 65,536 parameters" in found
    assert "parameters" not in vocabulary_cost(tokenizer, logits=1, bytes_per_token=3.0)


TEXT = {"documents": False, "n_bytes": 1_000_000, "characters": 65, "minutes": 1.0, "counts": True}


@pytest.mark.parametrize(
    ("changed", "kind", "why"),
    [
        ({}, "char", "counts"),
        ({"counts": False}, "bpe", "about 7 minutes"),
        ({"counts": False, "minutes": 10.0}, "char", "about 7 minutes"),
        ({"counts": False, "minutes": 10.0, "n_bytes": 10_000_000}, "bpe", "about 70 minutes"),
        ({"counts": False, "minutes": None}, "char", "no time budget"),
        ({"documents": True, "counts": False}, "char", "documents"),
        ({"characters": 3000}, "bpe", "3,000 different characters"),
    ],
)
def test_characters_or_bpe(changed: dict[str, Any], kind: str, why: str) -> None:
    found = tokenizer_kind(**TEXT | changed)
    assert found.value == kind
    assert why in found.reason


def test_a_small_vocabulary_is_not() -> None:
    for tokenizer in (
        build_tokenizer("char", HAN[:500], documents=False),
        build_tokenizer("byte", HAN, documents=False),
    ):
        assert bytes_offer(tokenizer) == ""
        assert vocabulary_cost(tokenizer, logits=1, bytes_per_token=3.0, parameters=(2, 1)) == ""
