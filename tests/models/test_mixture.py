"""Mixtures: the weighted mean of probabilities."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hornbook.errors import ConfigError, RunError
from hornbook.models.mixture import Mixture
from hornbook.models.registry import build_model, model_config

PARTS = [{"name": "bigram"}, {"name": "gpt", "n_layer": 1, "context_length": 8}]


def mixture(**fields: Any) -> Mixture:
    settings = {"name": "mixture", "components": PARTS, "weights": (0.3, 0.7), **fields}
    model = build_model(model_config(settings), 12, 0)
    assert isinstance(model, Mixture)
    return model.eval()


def test_probabilities_are_the_weighted_mean() -> None:
    model = mixture()
    ids = torch.randint(12, (2, 5))
    first, second = (m(ids).softmax(-1) for m in model.models)
    torch.testing.assert_close(model(ids).exp(), 0.3 * first + 0.7 * second)


def test_the_context_is_that_of_the_shortest_bounded_component() -> None:
    assert (mixture().context_length, mixture().sliding) == (8, False)
    sliding = mixture(components=[{"name": "bigram"}, {"name": "mlp", "context_length": 5}])
    assert (sliding.context_length, sliding.sliding) == (5, True)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": (0.5, 0.6)}, "found a sum of 1.1, expected 1"),
        ({"weights": (1.0,)}, "expected one above 0 for each component"),
        ({"components": [{"name": "mixture"}, {"name": "bigram"}]}, "a mixture in a mixture"),
    ],
)
def test_settings_that_do_not_fit_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mixture(**fields)


def test_weights_of_no_component_are_refused() -> None:
    model = mixture()
    weights = dict(model.state_dict())
    with pytest.raises(RunError, match=r"found 'models\.2\.weight', expected no such name"):
        model.check_weights({**weights, "models.2.weight": torch.zeros(1)})
    del weights["models.0.weight"]
    with pytest.raises(RunError, match="found no 'weight', expected one"):
        model.check_weights(weights)
