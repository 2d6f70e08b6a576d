from __future__ import annotations

import pytest

from hornbook.api import Run
from hornbook.errors import ConfigError
from hornbook.export.targets import export


def test_an_unknown_target_proposes_one(names_run: Run) -> None:
    with pytest.raises(ConfigError, match="did you mean"):
        export(names_run, "ggfu")
