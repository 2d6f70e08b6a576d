"""Layers of settings: one form, names of earlier versions, unknown sections."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from hornbook.config import layering, merge, read_settings, read_toml, renames
from hornbook.config.layering import split_name
from hornbook.errors import ConfigError


def test_the_later_layer_wins_field_by_field_and_none_is_changed() -> None:
    first, second = {"model": {"n_layer": 1, "n_embd": 8}}, {"model": {"n_layer": 2}, "data": {}}
    assert merge(first, second) == {"model": {"n_layer": 2, "n_embd": 8}, "data": {}}
    assert first == {"model": {"n_layer": 1, "n_embd": 8}}


def test_dotted_settings_and_sections_are_one_form(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[model]\nn-layer = 4\n[training]\nplain = true\n")
    expected = {"model": {"n_layer": 4}, "training": {"reference": True}}
    notes = ["training.plain is now training.reference"]
    for settings in (
        {"model.n-layer": 4, "training.plain": True},
        {"model": {"n_layer": 4}, "training.plain": True},
        {"model": {"n_layer": 4}, "training": {"plain": True}},
        read_toml(tmp_path / "c.toml"),
    ):
        assert read_settings(settings) == (expected, notes)


def test_the_examples_of_the_docstrings() -> None:
    for module in (layering, renames):
        tried = doctest.testmod(module)
        assert tried.attempted
        assert not tried.failed


def test_a_field_that_nobody_knows_is_left_to_its_section() -> None:
    settings = {"optim": {"paces": [[1, 0.5, 3]]}, "model": {"nothing": 1}}
    assert read_settings(settings) == (settings, [])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("modle.n-layer", r"modle.n-layer: no such section .*did you mean 'model.n_layer'"),
        ("steps", r"steps: no such setting; settings are dotted, as in training.steps"),
        ("nothing", r"nothing: no such setting; settings are dotted, as in model.n_layer"),
        ("xyz.steps", r"known: data, tokenizer, model, optim, training"),
    ],
)
def test_an_unknown_section_is_named_with_what_is_near(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split_name(name)
    with pytest.raises(ConfigError, match=message):
        read_settings({name: 1})


def test_an_unknown_section_of_fields_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="trainig: no such section; did you mean 'training'"):
        read_settings({"trainig": {"steps": 1}})
    (tmp_path / "c.toml").write_text("[trainig]\nsteps = 1\n")
    with pytest.raises(ConfigError, match=r"no section \[trainig\]; did you mean 'training'"):
        read_toml(tmp_path / "c.toml")
    (tmp_path / "c.toml").write_text("training = 1\n")
    with pytest.raises(ConfigError, match=r"training is a section; write \[training\]"):
        read_toml(tmp_path / "c.toml")


def test_the_later_way_to_say_how_long_replaces_the_earlier() -> None:
    lower = {"training": {"steps": 9, "seed": 1}, "optim": {"paces": [[0, 0, 9]], "beta1": 0.5}}
    for name in ("steps", "epochs", "minutes"):
        found = layering.override(lower, {"training": {name: 2}})
        assert found == {"training": {name: 2, "seed": 1}, "optim": {"beta1": 0.5}}
    assert layering.override(lower, {"training": {"seed": 3}}) == merge(
        lower, {"training": {"seed": 3}}
    )
    assert lower["training"]["steps"] == 9
