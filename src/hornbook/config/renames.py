"""Settings that had another name in earlier versions: read with a message, never refused.

Runs of format 2 and TOML files written for them say `optim.final`, `training.plain` and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hornbook.config.sections import Nested

RENAMED = {  # (section, field) before -> field now
    ("optim", "final"): "min_lr_ratio",
    ("training", "ema"): "ema_decay",
    ("training", "evaluations"): "eval_count",
    ("training", "plain"): "reference",
    ("training", "samplings"): "sample_count",
}
VALUES = {
    ("optim", "schedule", "drop"): "step_decay"
}  # (section, field, value) before -> value now


def rename_settings(settings: Mapping[str, Mapping[str, Any]]) -> tuple[Nested, list[str]]:
    """Settings under today's names, and a line for each that had another.

    A setting that is given under both names keeps the value of today's.

    >>> rename_settings({"optim": {"final": 0.1}})
    ({'optim': {'min_lr_ratio': 0.1}}, ['optim.final is now optim.min_lr_ratio'])
    """
    renamed: Nested = {}
    messages = []
    for section, fields in settings.items():
        renamed[section] = {}
        for field, value in fields.items():
            name = RENAMED.get((section, field), field)
            if name != field:
                messages.append(f"{section}.{field} is now {section}.{name}")
                if name in fields:
                    continue
            known = isinstance(value, str) and VALUES.get((section, field, value))
            if known:
                messages.append(f"{section}.{field}: {value!r} is now {known!r}")
            renamed[section][name] = known or value
    return renamed, messages
