"""A layered graph layout from left to right (Sugiyama, Tagawa and Toda 1981).

Each node is in a column after those of its operands. An edge over several columns has a bend in each
column it passes. Nodes are ordered within their column to reduce crossings, then spread so that no
boxes overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP_X, GAP_Y = 48.0, 16.0  # pixels between columns, where edges curve, and between boxes
SWEEPS = 12


@dataclass
class Layout:
    """Centers of the nodes, bends of each edge (operand, node), and the size of the picture."""

    center: dict[int, tuple[float, float]]
    bends: dict[tuple[int, int], list[tuple[float, float]]]
    width: float
    height: float


def layered(operands: Sequence[Sequence[int]], sizes: Sequence[tuple[float, float]]) -> Layout:
    """Lays out nodes 0 to n-1, given the operands (all smaller numbers) and (width, height) of each."""
    column = _columns(operands)
    height = {node: size[1] for node, size in enumerate(sizes)}
    after: dict[int, list[int]] = {node: [] for node in range(len(operands))}
    before: dict[int, list[int]] = {node: [] for node in range(len(operands))}
    paths: dict[tuple[int, int], list[int]] = {}
    for node, sources in enumerate(operands):
        for source in dict.fromkeys(sources):
            path = [source]
            for passed in range(column[source] + 1, column[node]):  # a bend is a node of height 2
                bend = len(column)
                column[bend], height[bend], after[bend], before[bend] = passed, 2.0, [], []
                path.append(bend)
            path.append(node)
            paths[source, node] = path
            for earlier, later in pairwise(path):
                after[earlier].append(later)
                before[later].append(earlier)
    columns: list[list[int]] = [[] for _ in range(max(column.values()) + 1)]
    for node in sorted(column, key=lambda node: (column[node], node)):
        columns[column[node]].append(node)
    y = _ordinates(columns, before, after, height)
    edges_x: dict[int, tuple[float, float]] = {}  # left and right edge of a node's column
    left = 0.0
    for nodes in columns:
        width = max((sizes[node][0] for node in nodes if node < len(sizes)), default=0.0)
        edges_x |= dict.fromkeys(nodes, (left, left + width))
        left += width + GAP_X
    top = min(y[node] - height[node] / 2 for node in y)
    bottom = max(y[node] + height[node] / 2 for node in y)
    return Layout(
        {node: (sum(edges_x[node]) / 2, y[node] - top) for node in range(len(operands))},
        {  # horizontal within a column, where the boxes are
            edge: [(x, y[bend] - top) for bend in path[1:-1] for x in edges_x[bend]]
            for edge, path in paths.items()
        },
        left - GAP_X,
        bottom - top,
    )


def _columns(operands: Sequence[Sequence[int]]) -> dict[int, int]:
    """The column of each node: after its operands; of a leaf, just before its first use."""
    column: dict[int, int] = {}
    first_use: dict[int, int] = {}
    for node, sources in enumerate(operands):
        column[node] = 1 + max((column[source] for source in sources), default=-1)
        for source in sources:
            first_use[source] = min(first_use.get(source, column[node]), column[node])
    for node, sources in enumerate(operands):
        if not sources:
            column[node] = max(0, first_use.get(node, 1) - 1)
    return column


def _ordinates(
    columns: list[list[int]],
    before: Mapping[int, list[int]],
    after: Mapping[int, list[int]],
    height: Mapping[int, float],
) -> dict[int, float]:
    """The y of each node: sweeps forward and back, sorting each column by its neighbors' mean y."""
    y: dict[int, float] = {}
    for nodes in columns:
        _spread(nodes, dict.fromkeys(nodes, 0.0), height, y)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for nodes in columns if forward else reversed(columns):
            wanted = {}
            for node in nodes:
                near = before[node] if forward else after[node]
                near = near or (after[node] if forward else before[node])
                wanted[node] = sum(y[v] for v in near) / len(near) if near else y[node]
            nodes.sort(key=lambda node: wanted[node])
            _spread(nodes, wanted, height, y)
    return y


def _spread(
    nodes: list[int], wanted: Mapping[int, float], height: Mapping[int, float], y: dict[int, float]
) -> None:
    """Sets y as close to `wanted` as possible without overlaps.

    Pushing nodes down keeps the gaps, and so does pushing them up; y is the mean of the two.
    """
    down: list[float] = []
    for i, node in enumerate(nodes):
        gap = (height[nodes[i - 1]] + height[node]) / 2 + GAP_Y if i else 0.0
        down.append(max(wanted[node], down[-1] + gap) if i else wanted[node])
    up = 0.0
    for i in range(len(nodes) - 1, -1, -1):
        node = nodes[i]
        if i == len(nodes) - 1:
            up = wanted[node]
        else:
            gap = (height[nodes[i + 1]] + height[node]) / 2 + GAP_Y
            up = min(wanted[node], up - gap)
        y[node] = (down[i] + up) / 2
