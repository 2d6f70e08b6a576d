"""A text that is small for the default model."""

from __future__ import annotations

from pathlib import Path

import pytest

from hornbook.training.plan import make_plan


@pytest.fixture
def few_names(tmp_path: Path) -> Path:
    """A thousand names: a text with fewer tokens than the default GPT has parameters."""
    path = tmp_path / "few.txt"
    path.write_text("\n".join(make_plan("names").split.train[:1000]))
    return path
