from __future__ import annotations

import pytest

from tests.conftest import tiny_model
from tests.export.lesson.common import assert_same_logits


@pytest.mark.parametrize("end_id", [0, None])
def test_its_logits_are_the_model_s(end_id: int | None) -> None:
    assert_same_logits(tiny_model("hybrid", end_id=end_id))
    assert_same_logits(tiny_model("hybrid", end_id=end_id), "sliding")
