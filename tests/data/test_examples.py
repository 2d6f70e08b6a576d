"""Examples against the notes' own lines."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hornbook.data.examples import build_dataset, get_batch
from hornbook.data.part import Part
from hornbook.errors import ConfigError
from hornbook.tokenizers import build_tokenizer

WORDS = ["emma", "olivia", "ava", "isabella"]
TEXT = "First Citizen:\nBefore we proceed any further, hear me speak."
CHARS = sorted(set("".join(WORDS)))
STOI = {s: i + 1 for i, s in enumerate(CHARS)} | {".": 0}


def documents() -> Part:
    return Part.of_documents(WORDS, build_tokenizer("char", "".join(CHARS), documents=True))


def stream() -> Part:
    return Part.of_stream(TEXT, build_tokenizer("char", TEXT, documents=False))


def notes_dataset(block_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The notes, "Trigram+MLP": build_dataset."""
    X, Y = [], []  # noqa: N806
    for w in WORDS:
        context = [0] * block_size
        for ch in w + ".":
            ix = STOI[ch]
            X.append(context)
            Y.append(ix)
            context = [*context[1:], ix]
    return torch.tensor(X), torch.tensor(Y)


@pytest.mark.parametrize("block_size", [1, 3, 8])
def test_the_notes_build_dataset(block_size: int) -> None:
    ours, theirs = build_dataset(documents(), block_size), notes_dataset(block_size)
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


def test_a_batch_of_documents_is_drawn_as_in_the_notes() -> None:
    X, Y = notes_dataset(3)  # noqa: N806
    g = torch.Generator().manual_seed(2147483647)
    ix = torch.randint(0, X.shape[0], (32,), generator=g)
    g = torch.Generator().manual_seed(2147483647)
    found = get_batch(documents(), 32, 3, generator=g)
    assert torch.equal(found[0], X[ix])
    assert torch.equal(found[1], Y[ix])


def test_a_batch_of_a_stream_is_drawn_as_in_the_notes() -> None:
    part = stream()
    data = torch.from_numpy(part.tokens.astype("int64"))
    torch.manual_seed(1337)
    ix = torch.randint(len(data) - 8, (4,))
    x = torch.stack([data[i : i + 8] for i in ix])
    y = torch.stack([data[i + 1 : i + 8 + 1] for i in ix])
    torch.manual_seed(1337)
    found = get_batch(part, 4, 8)
    assert torch.equal(found[0], x)
    assert torch.equal(found[1], y)


@pytest.mark.parametrize("part", [WORDS, "train"])
def test_what_the_notes_give_is_told_from_a_part(part: Any) -> None:
    with pytest.raises(ConfigError, match=r"part: found a (list|str), expected a part of a run"):
        build_dataset(part, 3)
    with pytest.raises(ConfigError, match=r"\.part\(\"train\"\)"):
        get_batch(part, 4, 8)


def test_a_block_longer_than_the_stream_is_refused() -> None:
    part = stream()
    assert get_batch(part, 2, part.n_targets)[0].shape == (2, part.n_targets)
    with pytest.raises(ConfigError, match=f"give at most {part.n_targets}"):
        get_batch(part, 2, part.n_targets + 1)
