"""Sections of settings: every field is described and bounded, and a mistake is named in its place."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hornbook.config.sections import OptimConfig, RunConfig, TrainingConfig, all_fields
from hornbook.errors import ConfigError
from hornbook.models.registry import MODELS, model_config


@pytest.mark.parametrize("model", MODELS)
def test_every_setting_says_what_it_is(model: str) -> None:
    config = model_config({"name": model})
    for section, name, field in all_fields(type(config)):
        if name != "name":
            assert field.description, f"{section}.{name}"
            assert not field.is_required(), f"{section}.{name}"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"stepps": 3}, r"training\.stepps: no such field.*did you mean 'steps'"),
        ({"steps": -1}, r"training\.steps: found -1\..*greater than"),
        ({"steps": True}, r"training\.steps: found true, expected no truth value"),
        ({"sampling": "epoch"}, r"training\.sampling: found 'epoch'\..*did you mean 'epochs'"),
        ({"minutes": float("nan")}, r"training\.minutes: found nan"),
        ({"seed": "1,2"}, r"training\.seed: found '1,2'\..*; --seeds 1,2,3 trains with several"),
        ({"batch_size": "16,32"}, r"found '16,32'\..*; `hornbook sweep` tries several values"),
        ({"steps": [10, 20]}, r"found \[10, 20\]\..*; `hornbook sweep` tries several values"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig.parse(data, "training")


def test_every_mistake_has_its_line() -> None:
    with pytest.raises(ConfigError) as error:
        OptimConfig.parse({"beta1": 1.0, "warmup": -1, "learning_rat": 0.1}, "optim")
    lines = str(error.value).splitlines()
    assert {line.partition(":")[0] for line in lines} == {
        "optim.beta1", "optim.warmup", "optim.learning_rat"
    }  # fmt: skip


def test_settings_cannot_be_changed() -> None:
    config = RunConfig(model=model_config({"name": "gpt"}))
    for section in (config, config.training, config.model):
        name = next(iter(type(section).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, name, getattr(section, name))
