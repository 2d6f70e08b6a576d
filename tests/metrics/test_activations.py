"""Activations are judged as in the notes."""

from __future__ import annotations

import json
import math

import pytest
import torch

from hornbook.files import dump
from hornbook.metrics.activations import judge_activations
from hornbook.metrics.probes import LayerStatistics, Probe, to_json
from tests.metrics.test_probes import deep_mlp


@pytest.mark.parametrize(
    ("init", "norm", "good", "words"),
    [
        ("naive", "none", False, "outputs saturated at the first step: initialization too large"),
        ("scaled", "none", True, "none saturated, inactive or dead"),
        ("scaled", "batchnorm", True, "none saturated, inactive or dead"),
    ],
)
def test_initializations_are_judged_as_in_the_notes(
    init: str, norm: str, good: bool, words: str
) -> None:
    model = deep_mlp(init, norm).train()
    with Probe(model) as probe:
        model.next_logits(torch.randint(27, (256, 3)))
    finding = judge_activations(probe.activations, first=True)
    assert finding.good is good
    assert words in finding.text


def test_small_weights_put_a_tanh_to_sleep_and_a_relu_can_die() -> None:
    tanh = torch.nn.Tanh()
    finding = judge_activations(
        {"a": LayerStatistics.of(tanh, 0.01 * torch.randn(50, 8))}, first=True
    )
    assert "initialization too small" in finding.text
    output = torch.rand(50, 8)
    output[:, :3] = 0
    units = LayerStatistics.of(torch.nn.ReLU(), output)
    assert units.dead == 3 / 8
    assert "38% of the relu units are dead" in judge_activations({"a": units}, first=False).text


def test_what_is_no_number_is_no_clean_bill() -> None:
    nothing = LayerStatistics.of(torch.nn.Tanh(), torch.full((50, 8), math.nan))
    finding = judge_activations(
        {"a": LayerStatistics.of(torch.nn.Tanh(), torch.rand(50, 8)), "b": nothing}, first=False
    )
    assert not finding.good
    assert finding.text.startswith("layer 2: tanh outputs are NaN or infinite after training")
    read = LayerStatistics.from_json(json.loads(dump(to_json(nothing))))  # NaN is null in a file
    assert not judge_activations({"a": read}, first=True).good
