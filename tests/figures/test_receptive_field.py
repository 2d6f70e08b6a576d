"""The figure of the receptive field."""

from __future__ import annotations

import re

import pytest

from hornbook.api import Run
from hornbook.figures.receptive_field import reach, receptive_field


def test_reach_is_the_context_and_doubles_in_a_wavenet(small_run: Run) -> None:
    change, layers = reach(small_run)
    model = small_run.model
    beyond = change[model.context_length :]
    assert (beyond < 1e-9).all()
    assert change[0] > 1e-6
    if small_run.config.model.name == "wavenet":
        sees = [int((values > 1e-6).sum()) for values in layers.values()]
        assert sees == [2, 4, 8, 16]
    if small_run.config.model.name in ("mlp", "ngram"):
        assert change[model.context_length - 1] > 1e-9


def test_one_token_is_no_tokens(small_run: Run) -> None:
    if small_run.model.context_length != 1:
        pytest.skip("a longer context")
    finding = receptive_field(small_run).finding
    assert finding is not None
    assert "depends on the last token tried" in finding.text


def test_the_prediction_and_the_only_layer_see_equally_far(small_run: Run) -> None:
    if small_run.config.model.name not in ("rnn", "mlp") or len(reach(small_run)[1]) != 1:
        pytest.skip("more than one layer")
    finding = receptive_field(small_run).finding
    assert finding is not None
    depends, sees = re.search(
        r"the last (\d+) tokens.*layers depend on (\d+)", finding.text
    ).groups()  # type: ignore[union-attr]
    assert int(depends) <= int(sees) + 1


def test_what_is_weak_is_said_of_tokens_that_were_found_alone(small_run: Run) -> None:
    finding = receptive_field(small_run).finding
    assert finding is not None
    found = re.search(r"the last (\d+) tokens", finding.text)  # one is `the last token`
    assert f"beyond {found[1] if found else 1} by less" not in finding.text
    assert (found is None) is (small_run.model.context_length == 1)
