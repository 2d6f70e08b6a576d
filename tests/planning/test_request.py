"""Requests: one form for flags, TOML and Python arguments."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from hornbook.config import presets
from hornbook.errors import ConfigError
from hornbook.optim.schedules import Segment
from hornbook.planning.request import read_request


def test_dotted_settings_sections_and_arguments_are_one_form() -> None:
    expected = {"model": {"n_layer": 2}, "training": {"steps": 5, "seed": 1}}
    for found in (
        read_request(settings={"model.n_layer": 2, "training.steps": 5, "training.seed": 1}),
        read_request(settings={"model": {"n_layer": 2}, "training": {"steps": 5, "seed": 1}}),
        read_request(settings={"model": {"n_layer": 2}, "training.seed": 1}, steps=5),
        read_request(settings={"model.n-layer": 2}, steps=5, seed=1, minutes=None),
    ):
        assert found.settings == expected
    assert found.requested("training", "steps") == 5
    assert found.requested("optim", "learning_rate") is None


def test_the_model_is_the_requested_one_or_that_of_the_preset() -> None:
    assert read_request().model == "gpt"
    assert read_request(preset="notes-mlp").model == "mlp"
    assert read_request(preset="notes-mlp", model="rnn").model == "rnn"
    assert read_request(preset={"model": {"name": "gru"}}).defaults(documents=True) == {
        "model": {"name": "gru"}
    }
    found = read_request(model="mlp")
    assert found.base == {}
    assert found.defaults(documents=False) == presets.default("mlp", documents=False)


def test_what_is_given_is_left_as_it_is() -> None:
    settings: dict[str, Any] = {"optim": {"final": 0.1, "paces": [[0, 0.0, 9]]}, "training.seed": 2}
    read_request(settings=settings, steps=3)
    assert settings == {"optim": {"final": 0.1, "paces": [[0, 0.0, 9]]}, "training.seed": 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"steps": 3, "settings": {"training.steps": 4}},
            "steps: found 3, but training.steps is 4",
        ),
        ({"model": "gpt", "settings": {"model.name": "mlp"}}, "but model.name is 'mlp'"),
        ({"corpus": "a", "settings": {"data.corpus": "b"}}, "corpus: found 'a', but data.corpus"),
        ({"settings": {"steps": 3}}, "steps: no such setting; settings are dotted"),
        ({"settings": {"trainin.steps": 3}}, "did you mean 'training.steps'"),
    ],
)
def test_contradictions_and_unknown_names_are_refused(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_request(**arguments)


def test_the_same_value_may_be_given_twice() -> None:
    found = read_request("a", steps=3, settings={"training.steps": "3", "data.corpus": "a"})
    assert found.settings["training"]["steps"] == "3"


def test_names_of_earlier_versions_are_accepted_with_a_message() -> None:
    found = read_request(settings={"training.evaluations": 4, "optim.schedule": "drop"})
    assert found.settings == {"training": {"eval_count": 4}, "optim": {"schedule": "step_decay"}}
    assert "training.evaluations is now training.eval_count" in found.messages


def test_the_schedule_of_a_timed_run_is_repeated() -> None:
    paces = [[0, 0.0, 100], [37, 37.0, 61]]
    settings = {"optim": {"paces": paces}, "training": {"steps": 100, "minutes": 3.0}}
    found = read_request(settings=settings)
    assert found.segments == (Segment(0, 0.0, 100), Segment(37, 37.0, 61))
    assert found.requested("training", "steps") == 61
    assert found.settings["optim"] == {}
    assert found.messages == ("repeats the schedule of a timed run, 61 steps",)
    assert read_request(settings={"optim.paces": []}).segments == ()


@pytest.mark.parametrize(
    "paces",
    [3, "abc", [[1, 2]], [["a", 0, 3]], [[5, 5.0, 10]], [[0, 0.0, 10], [12, 5.0, 11]],
     [[0, 0.0, 10], [0, 0.0, 12]], [[0, -1.0, 10]]],
)  # fmt: skip
def test_a_schedule_that_is_none_is_refused(paces: Any) -> None:
    with pytest.raises(ConfigError, match=r"optim.paces: found .*expected \(step, position, total"):
        read_request(settings={"optim.paces": paces})


def test_a_request_cannot_be_patched() -> None:
    with pytest.raises(FrozenInstanceError):
        read_request().corpus = "names"  # type: ignore[misc]


def test_an_exportable_model_is_the_gpt() -> None:
    assert read_request(exportable=True).requested("model", "name") == "gpt"
    assert read_request(model="gpt", exportable=True).model == "gpt"
    with pytest.raises(ConfigError, match="exportable: found it beside the model 'hybrid'"):
        read_request(model="hybrid", exportable=True)
    with pytest.raises(ConfigError, match="exportable: found it beside the model 'gru'"):
        read_request(settings={"model.name": "gru"}, exportable=True)
    with pytest.raises(ConfigError, match="exportable: found it beside a preset"):
        read_request(preset="gpt-names", exportable=True)
