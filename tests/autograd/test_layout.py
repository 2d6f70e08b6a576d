"""The layout of a graph: operands on the left, no two boxes overlap, edges bend between columns."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.autograd.layout import GAP_X, GAP_Y, layered

Graph = tuple[list[list[int]], list[tuple[float, float]]]


@st.composite
def graphs(draw: Callable[..., Any]) -> Graph:
    """Operands of nodes 0 to n-1 and their sizes; the last node uses what nobody else does."""
    n = draw(st.integers(1, 12))
    operands = [draw(st.lists(st.integers(0, i - 1), max_size=2)) if i else [] for i in range(n)]
    used = {source for sources in operands for source in sources}
    operands[-1] = [*operands[-1], *(i for i in range(n - 1) if i not in used)]
    size = st.floats(10, 90)
    return operands, [(draw(size), draw(size)) for _ in range(n)]


@settings(deadline=None)
@given(graphs())
def test_boxes_keep_their_distance_and_lie_inside(graph: Graph) -> None:
    operands, sizes = graph
    layout = layered(operands, sizes)
    boxes = []
    for node, (width, height) in enumerate(sizes):
        x, y = layout.center[node]
        boxes.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
        assert boxes[-1][0] >= -1e-6
        assert boxes[-1][2] <= layout.width + 1e-6
        assert boxes[-1][1] >= -1e-6
        assert boxes[-1][3] <= layout.height + 1e-6
    for a, b in itertools.combinations(boxes, 2):
        apart_x = max(a[0], b[0]) - min(a[2], b[2])
        apart_y = max(a[1], b[1]) - min(a[3], b[3])
        assert apart_x >= GAP_X - 1e-6 or apart_y >= GAP_Y - 1e-6


@settings(deadline=None)
@given(graphs())
def test_edges_run_from_left_to_right(graph: Graph) -> None:
    operands, sizes = graph
    layout = layered(operands, sizes)
    assert set(layout.bends) == {(s, n) for n, sources in enumerate(operands) for s in sources}
    for (source, node), bends in layout.bends.items():
        start = layout.center[source][0] + sizes[source][0] / 2
        end = layout.center[node][0] - sizes[node][0] / 2
        xs = [start, *(x for x, _ in bends), end]
        assert xs == sorted(xs)


def test_a_leaf_is_beside_the_first_node_that_uses_it() -> None:
    # 0 -> 1 -> 2 -> 4, and the leaf 3 is used by 4 alone
    layout = layered([[], [0], [1], [], [2, 3]], [(10.0, 10.0)] * 5)
    assert layout.center[3][0] == layout.center[2][0]


def test_an_edge_that_skips_a_column_bends_in_it() -> None:
    layout = layered([[], [0], [0, 1]], [(10.0, 10.0)] * 3)
    assert layout.bends[0, 1] == layout.bends[1, 2] == []
    bends = layout.bends[0, 2]
    assert [x for x, _ in bends] == [10.0 + GAP_X, 20.0 + GAP_X]  # both edges of column 1
    assert abs(bends[0][1] - layout.center[1][1]) >= GAP_Y
