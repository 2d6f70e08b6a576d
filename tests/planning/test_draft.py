"""Settings while they are decided: never against what was requested."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hornbook.config import Nested
from hornbook.errors import ConfigError
from hornbook.planning.decision import Decision
from hornbook.planning.draft import Draft

PRESET: Nested = {
    "model": {"name": "gpt", "n_layer": 3},
    "training": {"steps": 70, "batch_size": 9},
}


def test_a_setting_is_decided_once() -> None:
    draft = Draft(PRESET, {})
    proposed = Decision(60, "the preset's")
    assert draft.propose("training.steps", proposed) is proposed
    assert draft["training.steps"] == draft.config().training.steps == 60
    assert not draft.decisions
    assert draft.decide("training.steps", Decision(50, "a small text")) == 50
    assert draft["training.steps"] == draft.config().training.steps == 50
    assert draft.decisions["training.steps"].reason == "a small text"
    with pytest.raises(AssertionError, match=r"training\.steps is decided in two places"):
        draft.decide("training.steps", Decision(40, "a smaller text"))


def test_what_was_requested_is_not_decided_otherwise() -> None:
    draft = Draft(PRESET, {"training": {"steps": "30"}, "model": {"n_layer": 2}})
    assert draft.propose("training.steps", Decision(50, "")) == Decision(30, "requested")
    assert draft.is_requested("training.steps")
    assert not draft.is_requested("training.batch_size")
    assert draft.decide("training.steps", Decision(50, "a small text")) == 30
    assert draft.decisions["training.steps"] == Decision(30, "requested")
    assert draft.config().model.model_dump()["n_layer"] == 2


def test_the_preset_is_known_beside_what_was_requested() -> None:
    draft = Draft(PRESET, {"training": {"steps": 30}})
    assert draft.preset.training.steps == 70
    assert draft.preset.training.batch_size == draft["training.batch_size"] == 9


def test_models_differ_in_their_settings() -> None:
    assert Draft(PRESET, {}).has("model.dropout")
    assert not Draft({"model": {"name": "bigram"}}, {}).has("model.dropout")
    assert not Draft({"model": {"name": "bigram"}}, {}).has("model.context_length")


@pytest.mark.parametrize(
    ("requested", "message"),
    [
        ({"training": {"stepz": 1}}, "training.stepz: no such field; did you mean 'steps'"),
        (
            {"model": {"block_size": 8}},
            r"model\.block_size: .* name for it is model\.context_length",
        ),
        ({"training": {"max_iters": 8}}, r"training\.max_iters: .* name for it is training\.steps"),
        ({"training": {"lr": 1}}, r"training\.lr: .* name for it is optim\.learning_rate"),
        ({"optim": {"bs": 8}}, r"optim\.bs: .* name for it is training\.batch_size"),
        ({"training": {"steps": -1}}, "training.steps: found -1"),
        ({"model": {"n_layers": 1}}, "model.n_layers: no such field"),
        ({"modle": {"n_layer": 1}}, "modle: no such section"),
    ],
)
def test_wrong_settings_are_refused(requested: dict[str, dict[str, int]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Draft(PRESET, requested)


def test_settings_that_were_read_do_not_change_any_more() -> None:
    requested = {"training": {"batch_size": 4}}
    draft = Draft(PRESET, requested)
    before = draft.config()
    draft.decide("training.steps", Decision(50, "a small text"))
    assert before.training.steps == 70
    assert PRESET["training"] == {"steps": 70, "batch_size": 9}
    assert requested == {"training": {"batch_size": 4}}
    with pytest.raises(ValidationError, match="frozen"):
        before.training.steps = 3  # type: ignore[misc]
