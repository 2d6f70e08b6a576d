"""How typical a text is, by the losses of held-out texts."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from hornbook.api import Run, load, train
from hornbook.files import dump
from hornbook.metrics.typicality import (
    LEVELS,
    LONGEST,
    PIECE,
    TOKENS,
    HeldOutTexts,
    lines_or_pieces,
    percentile,
    quantiles,
)
from tests.conftest import WORDS


def held_out(run: Run) -> HeldOutTexts:
    texts = run.held_out_texts
    assert texts is not None
    return texts


def test_a_document_is_as_typical_as_its_rank_among_held_out_ones(names_run: Run) -> None:
    """The report's quantiles are of a sample of the documents; the rank is among all of them."""
    scores = names_run.score(names_run.split().validation)
    texts = held_out(names_run)
    assert texts.unit == "documents"
    assert 500 < texts.count < len(scores)
    means = np.array([score.mean for score in scores])
    for score in scores[::150]:
        assert texts.percentile(score) == pytest.approx(100 * (means < score.mean).mean(), abs=5)
    assert texts.percentile(names_run.score("xqzvkxqzvk")[0]) > 95


def test_all_of_few_documents_are_measured_as_they_are_scored(small_run: Run) -> None:
    run = load(small_run.path)
    texts, documents = held_out(run), run.split().validation
    scores = run.score(documents)
    assert texts.count == len(documents)
    assert texts.mean_nats == pytest.approx(quantiles(np.array([s.mean for s in scores])), 1e-4)
    assert texts.total_nats == pytest.approx(quantiles(np.array([s.total for s in scores])), 1e-4)


@pytest.mark.parametrize("model", ["gpt", "mlp", "ngram", "gru"])
def test_lines_of_a_stream_are_measured_as_they_are_scored(model: str, tmp_path: Path) -> None:
    """Each alone, after a line break, although they are computed together."""
    path = tmp_path / "text.txt"
    path.write_text("".join(f"{n} {WORDS[n % 9]} of them\n\n" for n in range(400)), "utf-8")
    settings = {"data.kind": "stream", "training.threads": 1, "training.compile": "no"}
    if model != "ngram":
        settings["model.context_length"] = 8
    run = train(
        str(path), model=model, out=tmp_path / "run", precision="fp32", settings=settings,
        steps=None if model == "ngram" else 3,
    )  # fmt: skip
    texts = held_out(run)
    assert texts.unit == "lines"
    most = LONGEST if run.model.sliding else 8
    text = run.tokenizer.decode(run.part("val").tokens)
    lines = [line[:most] for line in text.split("\n") if line]
    assert texts.count == len(lines)
    means = np.array([score.mean for score in run.score(lines)])
    assert texts.mean_nats == pytest.approx(quantiles(means), 1e-3)


def test_a_stream_of_few_lines_is_cut_into_pieces() -> None:
    tokens = np.arange(1000) % 7 + 1
    unit, pieces = lines_or_pieces(tokens, 0, 128)
    assert unit == "pieces"
    assert {len(piece) for piece in pieces} == {PIECE}
    assert len(pieces) == 1000 // PIECE
    unit, pieces = lines_or_pieces(tokens[:30], 0, 128)
    assert [len(piece) for piece in pieces] == [30]


def test_lines_are_spread_and_limited() -> None:
    tokens = np.ones(40 * TOKENS, dtype=np.uint8)
    tokens[::20] = 0
    tokens[21 :: 20 * 7] = 0  # some lines are empty
    unit, lines = lines_or_pieces(tokens, 0, 16)
    assert unit == "lines"
    assert 0.8 * TOKENS < sum(map(len, lines)) <= TOKENS
    assert all(0 < len(line) <= 16 and line.all() for line in lines)


def test_the_level_of_a_loss_is_interpolated() -> None:
    losses = quantiles(np.arange(1000) / 100)
    for loss in (0.05, 1.234, 5.0, 9.7):
        assert percentile(loss, losses) == pytest.approx(10 * loss, abs=0.3)
    assert percentile(-1.0, losses) == 0
    assert percentile(11.0, losses) == 100
    same = (2.0,) * len(LEVELS)
    assert [percentile(x, same) for x in (1.0, 2.0, 3.0)] == [0, 50, 100]


def test_infinite_losses_are_the_least_typical() -> None:
    """Counts without smoothing hold some held-out texts impossible."""
    losses = quantiles(np.array([1.0] * 60 + [math.inf] * 40))
    assert percentile(1.0, losses) == 30
    assert 60 <= percentile(5.0, losses) <= 70
    assert percentile(math.inf, losses) == 85
    texts = HeldOutTexts("documents", 100, losses, losses)
    assert HeldOutTexts.from_json(json.loads(dump(texts.to_json()))) == texts
    shuffled = {**texts.to_json(), "mean_nats": [5.0, *losses[:-2], 0.0]}
    assert 0 <= percentile(0.5, HeldOutTexts.from_json(shuffled).mean_nats) <= 100
