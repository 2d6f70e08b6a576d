"""Settings of earlier versions: read under their new names, with a message."""

from __future__ import annotations

from typing import Any

import pytest

from hornbook.config import SECTIONS
from hornbook.config.renames import RENAMED, VALUES, rename_settings


def test_every_new_name_is_a_field_and_no_old_one_is() -> None:
    for (section, before), now in RENAMED.items():
        assert now in SECTIONS[section].model_fields
        assert before not in SECTIONS[section].model_fields
    for (section, field, before), now in VALUES.items():
        SECTIONS[section].parse({field: now}, section)
        with pytest.raises(Exception, match=field):
            SECTIONS[section].parse({field: before}, section)


def test_old_names_are_accepted_with_a_message() -> None:
    settings: dict[str, dict[str, Any]] = {
        "optim": {"final": 0.2, "schedule": "drop", "learning_rate": 0.1},
        "training": {"plain": True, "evaluations": 3},
    }
    renamed, messages = rename_settings(settings)
    assert renamed == {
        "optim": {"min_lr_ratio": 0.2, "schedule": "step_decay", "learning_rate": 0.1},
        "training": {"reference": True, "eval_count": 3},
    }
    assert messages == [
        "optim.final is now optim.min_lr_ratio",
        "optim.schedule: 'drop' is now 'step_decay'",
        "training.plain is now training.reference",
        "training.evaluations is now training.eval_count",
    ]
    assert settings["optim"]["final"] == 0.2  # what was given is left as it was


@pytest.mark.parametrize("old_first", [True, False])
def test_the_new_name_wins(old_first: bool) -> None:
    fields = {"ema": 0.5, "ema_decay": 0.9}
    if not old_first:
        fields = dict(reversed(fields.items()))
    assert rename_settings({"training": fields})[0] == {"training": {"ema_decay": 0.9}}


def test_todays_settings_are_left_as_they_are() -> None:
    settings: dict[str, dict[str, Any]] = {
        "optim": {"schedule": "linear", "beta1": 0.8},
        "model": {"plain": "x", "n": [1]},
    }
    assert rename_settings(settings) == (settings, [])
