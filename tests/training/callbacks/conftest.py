"""A plan of a small run, without reading a corpus in each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hornbook.planning.plan import Plan
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from tests.training.helpers import small

PlanOf = Callable[..., Plan]


@pytest.fixture
def plan_of(words_file: Path) -> PlanOf:
    """Makes the plan of a bigram of so many steps; other settings are of `training`."""

    def _plan_of(steps: int = 12, optim: dict[str, Any] | None = None, **training: Any) -> Plan:
        settings = small("bigram", steps=steps, **training) | {"optim": optim or {}}
        return resolve(read_request(str(words_file), model="bigram", settings=settings))

    return _plan_of
