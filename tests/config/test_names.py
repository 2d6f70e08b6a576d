"""Short names of settings, and those of other code: each leads to a setting."""

from __future__ import annotations

import doctest

import pytest

from hornbook.config import names
from hornbook.config.names import OTHER_NAMES, SHORT_NAMES, setting_called
from hornbook.config.sections import all_fields
from hornbook.models.registry import config_class

SETTINGS = {f"{section}.{name}" for section, name, _ in all_fields(config_class("gpt"))}


def test_examples() -> None:
    assert doctest.testmod(names).failed == 0


@pytest.mark.parametrize("name", [*SHORT_NAMES, *OTHER_NAMES])
def test_every_name_leads_to_a_setting(name: str) -> None:
    assert setting_called(name) in SETTINGS
    assert setting_called(name.replace("-", "_")) == setting_called(name)


def test_no_name_of_other_code_is_one_here() -> None:
    assert not OTHER_NAMES.keys() & SHORT_NAMES.keys()
    assert (
        not {f"{s.partition('.')[0]}.{o.replace('-', '_')}" for s in SETTINGS for o in OTHER_NAMES}
        & SETTINGS
    )
