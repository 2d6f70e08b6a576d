from __future__ import annotations

import numpy as np
import pytest

from hornbook.figures.embeddings import principal
from tests.web.javascript import run_node


def test_components_are_those_of_inspect() -> None:
    vectors = np.random.default_rng(0).normal(size=(9, 5)) * [5, 3, 1, 1, 0.5]
    expected, share = principal(vectors)
    found = run_node("layout.js", f"return $layout.principal({vectors.tolist()});")
    assert found["share"] == pytest.approx(share.tolist(), abs=1e-6)
    points = np.array(found["points"])
    for axis in (0, 1):  # their signs are free
        sign = np.sign(points[:, axis] @ expected[:, axis])
        assert np.allclose(sign * points[:, axis], expected[:, axis], atol=1e-4)


def test_labels_do_not_hide_each_other() -> None:
    points = [[0, 0], [0, 0], [1e-9, 0], [1, 1], [1, 1.001]]
    found = np.array(run_node("layout.js", f"return $layout.spreadApart({points}, 0.05);"))
    gaps = np.linalg.norm(found[:, None] - found[None], axis=-1) + np.eye(len(found))
    assert gaps.min() > 0.049
