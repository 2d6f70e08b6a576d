"""Presets: every one is a whole configuration, and those of the notes carry the notes' numbers."""

from __future__ import annotations

import pytest

from hornbook import presets
from hornbook.config import RunConfig
from hornbook.errors import ConfigError
from hornbook.models.registry import MODELS
from hornbook.optim import learning_rate
from hornbook.run import parse_config


def config(name: str) -> RunConfig:
    return parse_config(presets.named(name))


@pytest.mark.parametrize("name", list(presets.PRESETS))
def test_every_preset_is_a_whole_configuration(name: str) -> None:
    assert config(name).model.name in MODELS


@pytest.mark.parametrize("documents", [True, False])
@pytest.mark.parametrize("model", list(MODELS))
def test_the_default_of_a_model_is_one_of_that_model(model: str, documents: bool) -> None:
    assert parse_config(presets.default(model, documents=documents)).model.name == model


@pytest.mark.parametrize(
    ("name", "drop"),
    [("notes-mlp", 100_000), ("notes-mlp-bn", 100_000), ("notes-mlp-deep", 150_000),
     ("notes-wavenet", 100_000)],
)  # fmt: skip
def test_the_notes_networks_take_200_000_updates_of_32_at_a_tenth_and_a_hundredth(
    name: str, drop: int
) -> None:
    settings = config(name)
    optim, training = settings.optim, settings.training
    assert settings.data.corpus == "makemore-names"
    assert (training.steps, training.batch_size, training.sampling) == (200_000, 32, "random")
    assert (optim.name, optim.grad_clip, optim.l2) == ("sgd", 0.0, 0.0)
    rates = [learning_rate(optim, step, training.steps) for step in (0, drop - 1, drop, 199_999)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01])


def test_the_notes_gpt_is_trained_by_adamw_at_its_defaults() -> None:
    settings = config("notes-gpt")
    optim, training = settings.optim, settings.training
    assert (optim.name, optim.learning_rate, optim.schedule) == ("adamw", 3e-4, "constant")
    assert (optim.beta1, optim.beta2, optim.weight_decay, optim.decayed) == (
        0.9,
        0.999,
        0.01,
        "all",
    )
    assert (training.steps, training.batch_size, optim.grad_clip) == (5000, 64, 0.0)


def test_the_notes_bigram_descends_on_everything_at_once() -> None:
    settings = config("notes-bigram")
    optim, training = settings.optim, settings.training
    assert (optim.name, optim.learning_rate, optim.l2, optim.grad_clip) == ("sgd", 50.0, 0.01, 0.0)
    assert (optim.schedule, training.batch_size, training.examples) == (
        "constant",
        "all",
        "windows",
    )


def test_an_unknown_preset_is_told_what_is_near() -> None:
    with pytest.raises(ConfigError, match="did you mean 'notes-mlp'"):
        presets.named("note-mlp")
