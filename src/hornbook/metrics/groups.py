"""Which runs are of one setting, and which settings differ between groups of runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from hornbook.metrics.results import Group, MeasuredRun

NAME = "model.name"
NOT_IN_A_NAME = re.compile(r"[^\w.+-]+")


def grouped(measured: Sequence[MeasuredRun]) -> list[Group]:
    """Runs by their settings, whatever their seeds, in the order in which they were given.

    A run that is not finished is in no group with those that are.
    """
    by_setting: dict[str, list[MeasuredRun]] = {}
    for m in measured:
        key = json.dumps([m.settings, m.result.finished], sort_keys=True, default=str)
        by_setting.setdefault(key, []).append(m)
    members = list(by_setting.values())
    different = differing([runs[0].settings for runs in members])
    names = _names(members, different)
    groups = []
    for name, runs, settings in zip(names, members, different, strict=True):
        firsts: dict[int | None, MeasuredRun] = {}  # counts have no seed: all of them are alike
        for m in sorted(runs, key=lambda m: m.result.seed or 0):
            firsts.setdefault(m.result.seed, m)
        kept = tuple(firsts.values())
        repeats = tuple(m for m in runs if not any(m is first for first in kept))
        groups.append(Group(name, kept, repeats, settings))
    return groups


def differing(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of several sets of settings, by dotted name, those that differ between the sets that have them.

    >>> differing([{"a.b": 1, "a.c": 3}, {"a.b": 2, "a.c": 3}, {"a.c": 3, "a.d": 4}])
    [{'a.b': 1}, {'a.b': 2}, {}]
    """
    names = list(dict.fromkeys(name for each in settings for name in each))
    values = {name: {str(each[name]) for each in settings if name in each} for name in names}
    return [
        {name: each[name] for name in names if name in each and len(values[name]) > 1}
        for each in settings
    ]


def setting_words(settings: Mapping[str, Any]) -> str:
    """Settings in a few characters, such as a directory can have as its name.

    >>> setting_words({"optim.learning_rate": 0.01, "model.name": "gpt"})
    'learning_rate=0.01,model=gpt'
    """
    words = []
    for name, value in settings.items():
        field = "model" if name == NAME else short_name(name)
        word = str(value).lower() if isinstance(value, bool) else value_words(value)
        words.append(f"{field}={NOT_IN_A_NAME.sub('_', word)}")
    return ",".join(words)


def short_name(name: str) -> str:
    """The name of a setting without its section, where it has one."""
    return name.partition(".")[2] or name


def value_words(value: Any) -> str:
    """The value of a setting in a few words: of a mixture's components, their names.

    >>> value_words([{"name": "mlp", "n_layer": 1}, {"name": "ngram", "order": 5}])
    'mlp + ngram'
    """
    if isinstance(value, Mapping):
        return str(value.get("name", dict(value)))
    return " + ".join(map(value_words, value)) if isinstance(value, list | tuple) else str(value)


def _names(
    members: Sequence[Sequence[MeasuredRun]], different: Sequence[dict[str, Any]]
) -> list[str]:
    """A name for each group: of one run, the run's; of several, that of the directory that holds them
    and no others, else the settings that differ."""
    folders = [{PurePath(m.result.path).parent for m in runs} for runs in members]
    names = []
    for i, runs in enumerate(members):
        others: set[PurePath] = set().union(*folders[:i], *folders[i + 1 :])
        own = folders[i] - others
        if len(runs) == 1:
            names.append(runs[0].result.name)
        elif len(folders[i]) == 1 and own and (folder := next(iter(own)).name):
            names.append(folder)
        else:
            alone = set(different[i]) <= {NAME}
            names.append(runs[0].result.model if alone else setting_words(different[i]))
    return _distinct(names)


def _distinct(names: Iterable[str]) -> list[str]:
    """Names, numbered where one is there already."""
    distinct: list[str] = []
    for name in names:
        candidate, n = name, 2
        while candidate in distinct:
            candidate, n = f"{name} ({n})", n + 1
        distinct.append(candidate)
    return distinct
