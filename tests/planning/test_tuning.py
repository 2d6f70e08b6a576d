"""Tables of constants cover what they are asked for."""

from __future__ import annotations

from typing import get_args

from hornbook.config import OptimConfig
from hornbook.engine.compiled import Form
from hornbook.planning import tuning


def test_tables_cover_every_optimizer_and_every_form() -> None:
    optimizers = get_args(OptimConfig.model_fields["name"].annotation)
    assert set(tuning.OPTIMIZER_NUMBERS) == set(optimizers)
    forms = set(get_args(Form)) - {"no"}
    assert set(tuning.COMPILE_SECONDS) == set(tuning.COMPILE_SAVES) == forms
