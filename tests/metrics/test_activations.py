"""Activations are judged as in the notes."""

from __future__ import annotations

import json
import math

import pytest
import torch

from hornbook.files import dump
from hornbook.metrics.activations import first_weights, judge_activations
from hornbook.metrics.probes import LayerStatistics, Probe, to_json
from hornbook.models.mlp import MLPConfig
from hornbook.models.ngram import NGramConfig
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


def tanh_layer(scale: float) -> dict[str, LayerStatistics]:
    """One layer of tanh whose inputs have this standard deviation."""
    torch.manual_seed(0)
    return {"a": LayerStatistics.of(torch.nn.Tanh(), (scale * torch.randn(500, 20)).tanh())}


def test_what_was_so_at_the_start_is_no_fault_of_the_training() -> None:
    large, usual, small = tanh_layer(5.0), tanh_layer(1.0), tanh_layer(0.01)
    found = judge_activations(large, first=False, start=large, setting="model.init is naive").text
    assert "saturated after training, " in found
    assert "at the first step already: initialization too large (model.init is naive)" in found
    assert "learning rate" not in found
    grown = judge_activations(large, first=False, start=usual).text
    assert "at the first step: weights have grown too large; lower the learning rate" in grown
    idle = judge_activations(small, first=False, start=small).text
    assert "at the first step already: initialization too small" in idle
    shrunk = judge_activations(small, first=False, start=usual).text
    assert "at the first step: weights have shrunk" in shrunk
    unknown = judge_activations(large, first=False).text
    assert "the start is not known; either initialization too large" in unknown


def test_dead_units_are_compared_with_the_start() -> None:
    output = torch.rand(50, 8)
    alive = {"a": LayerStatistics.of(torch.nn.ReLU(), output.clone())}
    output[:, :3] = 0
    dead = {"a": LayerStatistics.of(torch.nn.ReLU(), output)}
    assert (
        "0% at the first step: learning rate"
        in judge_activations(dead, first=False, start=alive).text
    )
    text = judge_activations(dead, first=False, start=dead).text
    assert "38% at the first step already: initialization too large" in text


def test_the_setting_of_the_first_weights_is_named_where_it_is_not_the_default() -> None:
    assert first_weights(MLPConfig()) == ""
    assert (
        first_weights(MLPConfig(init="naive", gain=3.0)) == "model.init is naive, model.gain is 3.0"
    )
    assert first_weights(NGramConfig()) == ""
