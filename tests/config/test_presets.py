"""Presets: every one is a whole configuration, and those of the notes carry the notes' numbers."""

from __future__ import annotations

import pytest
import torch

from hornbook.config import RunConfig, presets
from hornbook.errors import ConfigError
from hornbook.layers.basic import BatchNorm1d, Linear
from hornbook.models.base import LanguageModel
from hornbook.models.registry import MODELS, build_model, parse_run_config
from hornbook.optim import learning_rate


def config(name: str) -> RunConfig:
    return parse_run_config(presets.named(name))


@pytest.mark.parametrize("name", list(presets.PRESETS))
def test_every_preset_is_a_whole_configuration(name: str) -> None:
    assert config(name).model.name in MODELS


@pytest.mark.parametrize("documents", [True, False])
@pytest.mark.parametrize("model", list(MODELS))
def test_the_default_of_a_model_is_one_of_that_model(model: str, documents: bool) -> None:
    assert parse_run_config(presets.default(model, documents=documents)).model.name == model


@pytest.mark.parametrize(
    ("name", "drop"),
    [("notes-mlp", 100_000), ("notes-mlp-bn", 100_000), ("notes-mlp-deep", 150_000),
     ("notes-wavenet", 100_000)],
)  # fmt: skip
def test_the_notes_networks_take_200_000_steps_of_32_at_a_tenth_and_a_hundredth(
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
    assert (optim.beta1, optim.beta2) == (0.9, 0.999)
    assert (optim.weight_decay, optim.decayed) == (0.01, "all")
    assert (training.steps, training.batch_size, optim.grad_clip) == (5000, 64, 0.0)


def drawn(name: str, vocab: int) -> LanguageModel:
    """The model of a preset as it begins, drawn from the preset's own seed."""
    settings = config(name)
    torch.manual_seed(settings.training.seed)
    return build_model(settings.model, vocab, None if settings.model.name == "gpt2" else 0)


def test_the_notes_gpt_begins_with_their_spread_in_every_product_and_embedding() -> None:
    assert config("notes-gpt").training.seed == 1337
    for name, weight in drawn("notes-gpt", 65).named_parameters():
        if weight.ndim == 2:  # N(0, 0.02), the head too
            assert weight.std().item() == pytest.approx(0.02, rel=0.02), name
        else:
            assert weight.unique().tolist() == [1.0 if "ln" in name and "w" in name else 0.0], name


def test_the_notes_mlps_begin_with_their_spread() -> None:
    # (spread of the hidden weights times sqrt(fan_in), of the last ones, gamma of the last norm)
    expected = {
        "notes-mlp": (5 / 3, 0.01, None),
        "notes-mlp-bn": (5 / 3, 0.01, 1.0),
        "notes-mlp-deep": (1.0, 100**-0.5, 0.1),  # `weight *= 1.0 #5/3`
    }
    for name, (gain, last_std, gamma) in expected.items():
        modules = list(drawn(name, 27).modules())
        *hidden, last = [m for m in modules if isinstance(m, Linear)]
        assert len(hidden) == (5 if name == "notes-mlp-deep" else 1)
        for layer in hidden:
            spread = layer.weight.std().item() * layer.weight.shape[0] ** 0.5
            assert spread == pytest.approx(gain, rel=0.04), name
        assert last.weight.std().item() == pytest.approx(last_std, rel=0.04), name
        norms = [m for m in modules if isinstance(m, BatchNorm1d)]
        assert [norms[-1].gamma.unique().item()] == [pytest.approx(gamma)] if norms else not gamma
        assert all(m.gamma.eq(1).all() for m in norms[:-1])


def test_the_notes_bigram_descends_on_everything_at_once() -> None:
    settings = config("notes-bigram")
    optim, training = settings.optim, settings.training
    assert (settings.data.validation, settings.data.test, training.seed) == (0, 0, 2147483647)
    assert (optim.name, optim.learning_rate, optim.l2, optim.grad_clip) == ("sgd", 50.0, 0.01, 0.0)
    assert optim.schedule == "constant"
    assert (training.batch_size, training.examples) == ("all", "windows")


def test_the_notes_bigram_language_model_takes_10_000_steps_of_4_rows_of_8() -> None:
    settings = config("notes-bigram-lm")
    optim, training = settings.optim, settings.training
    assert (settings.data.corpus, settings.model.name) == ("shakespeare", "bigram")
    assert (training.steps, training.batch_size, training.row_length) == (10_000, 4, 8)
    assert (training.sampling, training.examples) == ("random", "sequences")
    assert (optim.name, optim.learning_rate, optim.schedule) == ("adamw", 1e-3, "constant")
    assert (optim.beta1, optim.beta2) == (0.9, 0.999)  # torch's defaults
    assert (optim.weight_decay, optim.decayed, optim.grad_clip) == (0.01, "all", 0.0)


@pytest.mark.parametrize("name", [name for name in presets.PRESETS if name.startswith("notes-")])
def test_the_notes_presets_sample_as_the_notes_do(name: str) -> None:
    generation = config(name).generation
    assert (generation.sampling, generation.window) == ("torch", "sliding")


def test_an_unknown_preset_names_what_is_near() -> None:
    with pytest.raises(ConfigError, match="did you mean 'notes-mlp'"):
        presets.named("note-mlp")
