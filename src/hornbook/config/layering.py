"""Layers of settings: preset, then a TOML file, then flags; the later one wins field by field.

A layer has one form, sections of fields, whether it comes from a file, the command line or Python.
Its fields are checked when it is known which model they belong to (`models.registry`).
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hornbook.config.names import setting_called
from hornbook.config.renames import rename_settings
from hornbook.config.sections import LENGTHS, SECTIONS, Nested
from hornbook.errors import ConfigError, did_you_mean


def merge(*layers: Mapping[str, Mapping[str, Any]]) -> Nested:
    """Sections of fields, the later layer winning field by field."""
    merged: Nested = {}
    for layer in layers:
        for section, fields in layer.items():
            merged.setdefault(section, {}).update(fields)
    return merged


def override(lower: Nested, higher: Nested) -> Nested:
    """`merge` of settings that are requested in two places.

    Steps, epochs and minutes are ways to say one thing: where the higher layer has one of them, those
    of the lower are left out, and with them the schedule of a run that is repeated.

    >>> override({"training": {"steps": 9, "seed": 1}}, {"training": {"epochs": 2}})
    {'training': {'seed': 1, 'epochs': 2}}
    """
    if higher.get("training", {}).keys() & set(LENGTHS):
        lower = {section: dict(fields) for section, fields in lower.items()}
        for name in LENGTHS:
            lower.get("training", {}).pop(name, None)
        lower.get("optim", {}).pop("paces", None)
    return merge(lower, higher)


def read_settings(settings: Mapping[str, Any]) -> tuple[Nested, list[str]]:
    """Settings as sections under today's names, and a line for each that had another name before.

    settings: sections of fields, dotted fields, or both; `-` in names is read as `_`.
    Raises ConfigError for an unknown section.

    >>> read_settings({"model.n-layer": 4, "optim": {"final": 0}})
    ({'model': {'n_layer': 4}, 'optim': {'min_lr_ratio': 0}}, ['optim.final is now optim.min_lr_ratio'])
    """
    sections: Nested = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            section, fields = name, {str(f).replace("-", "_"): v for f, v in value.items()}
            if section not in SECTIONS:
                raise ConfigError(f"{name}: no such section{did_you_mean(section, SECTIONS)}")
        else:
            section, field = split_name(name)
            fields = {field: value}
        sections.setdefault(section, {}).update(fields)
    return rename_settings(sections)


def split_name(dotted: str) -> tuple[str, str]:
    """Section and field of a dotted name. Raises ConfigError where there is no such section.

    >>> split_name("model.n-layer")
    ('model', 'n_layer')
    """
    section, dot, field = dotted.replace("-", "_").partition(".")
    if not dot:
        example = setting_called(dotted) or "model.n_layer"
        raise ConfigError(f"{dotted}: no such setting; settings are dotted, as in {example}")
    if section not in SECTIONS:
        near = difflib.get_close_matches(section, SECTIONS, n=1)
        hint = f"; did you mean '{near[0]}.{field}'?" if near else did_you_mean(section, SECTIONS)
        raise ConfigError(f"{dotted}: no such section of the settings{hint}")
    return section, field


def read_toml(path: Path) -> Nested:
    """The sections of a TOML file as they are written; `read_settings` reads their names.

    Raises ConfigError where the file cannot be read, is not TOML, or has another section.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ConfigError(f"{path}: is a pipe or a device, expected a plain file; give a TOML file")
    try:
        with path.open("rb") as file:
            data = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a TOML file") from None
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, numbers or nesting too long
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    for section, fields in data.items():
        if section not in SECTIONS:
            raise ConfigError(f"{path}: no section [{section}]{did_you_mean(section, SECTIONS)}")
        if not isinstance(fields, dict):
            raise ConfigError(f"{path}: {section} is a section; write [{section}] and its fields")
    return data
