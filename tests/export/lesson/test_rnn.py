from __future__ import annotations

import pytest

from tests.conftest import tiny_model
from tests.export.lesson.common import assert_same_logits


@pytest.mark.parametrize("end_id", [0, None])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_its_logits_are_the_model_s(cell: str, end_id: int | None) -> None:
    assert_same_logits(tiny_model(cell, end_id=end_id))
