"""Layers of settings: preset, then a TOML file, then flags; the later one wins field by field."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hornbook.config.sections import SECTIONS, Nested
from hornbook.errors import ConfigError, did_you_mean


def merge(*layers: Mapping[str, Mapping[str, Any]]) -> Nested:
    """Sections of fields, the later layer winning field by field."""
    merged: Nested = {}
    for layer in layers:
        for section, fields in layer.items():
            merged.setdefault(section, {}).update(fields)
    return merged


def parse_overrides(overrides: Mapping[str, Any] | Sequence[str]) -> Nested:
    """Dotted settings as sections: `{"model.n-layer": 4}` or `["--model.n-layer", "4"]`.

    Raises ConfigError for an unknown section or a flag without its value. Fields are checked later,
    when it is known which model they belong to.
    """
    pairs = overrides if isinstance(overrides, Mapping) else _pair_flags(overrides)
    sections: Nested = {}
    for dotted, value in pairs.items():
        section, dot, field = dotted.replace("-", "_").partition(".")
        if not dot:
            raise ConfigError(f"{dotted}: no such setting; settings are dotted: model.n_layer")
        if section not in SECTIONS:
            near = difflib.get_close_matches(section, SECTIONS, n=1)
            hint = (
                f"; did you mean '{near[0]}.{field}'?" if near else did_you_mean(section, SECTIONS)
            )
            raise ConfigError(f"{dotted}: no such section of the settings{hint}")
        sections.setdefault(section, {})[field] = value
    return sections


def _pair_flags(tokens: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    rest = list(tokens)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise ConfigError(f"{flag}: found no value, expected one: {flag} VALUE")
            value = rest.pop(0)
        pairs[flag.removeprefix("--")] = value
    return pairs


def read_toml(path: Path) -> Nested:
    """A TOML file with the sections data, tokenizer, model, optim and training.

    Raises ConfigError where the file cannot be read, is no TOML, or has another section.
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
    return {
        section: {field.replace("-", "_"): value for field, value in fields.items()}
        for section, fields in data.items()
    }
