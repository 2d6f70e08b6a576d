"""The figures of units."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hornbook.api import Run
from hornbook.figures.data import DoesNotApplyError, figure_data
from hornbook.figures.units import hidden_states, neurons, unit_outputs
from tests.figures.test_odd_text import odd_run


def test_units_are_seen_with_the_text_that_excites_them(small_run: Run) -> None:
    if small_run.model.fitted or not figure_data(small_run).probe.activations:
        with pytest.raises(DoesNotApplyError):
            unit_outputs(small_run)
        return
    values, names, texts = unit_outputs(small_run)
    assert values.shape == (len(texts), len(names))
    assert all(text.count(".") <= 1 for text in texts)  # one document at most
    often = Counter(text for text in texts if text[0] == ".").most_common(1)[0][0]
    same = [i for i, text in enumerate(texts) if text == often]
    assert len(same) > 1
    np.testing.assert_allclose(values[same], values[same[:1]].repeat(len(same), 0), atol=1e-5)


def test_hidden_states_say_how_long_a_text_is(tmp_path: Path) -> None:
    run = odd_run(tmp_path, **{"model.context_length": 16})
    note = hidden_states(run, "abc" * 20 + "\n" + "b" * 40).note
    assert note == "the first 16 of 102 tokens are drawn, starts of documents counted"
    assert not hidden_states(run, "abc").note


def test_tokens_may_be_long_words(tmp_path: Path) -> None:
    from hornbook.api import train
    from tests.conftest import TINY_GPT

    words = ["neighborhoods", "extraordinary", "counterexamples", "a"]
    (tmp_path / "text.txt").write_text(" ".join(words[i * i % 4] for i in range(2000)), "utf-8")
    settings = {
        **TINY_GPT,
        "training": {**TINY_GPT["training"], "steps": 2},
        "tokenizer": {"kind": "bpe", "vocab_size": 320},
        "data": {"kind": "stream"},
    }
    run = train(
        str(tmp_path / "text.txt"), out=tmp_path / "run", precision="fp32", settings=settings
    )
    assert max(map(len, map(run.tokenizer.symbol, range(run.tokenizer.vocab_size)))) > 9
    assert neurons(run).axes
