"""draw(value): a well-formed picture with every number, in which nothing overlaps."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from hornbook.autograd import MLP, Value, draw

SVG = "{http://www.w3.org/2000/svg}"


def neuron() -> Value:
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    o = (x1 * w1 + x2 * w2 + Value(6.8813735870195432, label="b")).tanh()
    o.label = "o"
    o.backward()
    return o


def network() -> Value:
    out = MLP(3, [4, 4, 1], activation="tanh", output="tanh", seed=0)([1.0, 2.0, -3.0])
    out.backward()
    return out


def shared() -> Value:
    a = Value(2.0, label='a <b> & "c"')
    b = a + a
    return (a * b - 1).relu() + a.exp() ** 2 + a


def rectangles(svg: str) -> list[tuple[float, float, float, float]]:
    found = []
    for rect in ElementTree.fromstring(svg).iter(f"{SVG}rect"):
        x, y, width, height = (float(rect.get(k, "")) for k in ("x", "y", "width", "height"))
        found.append((x, y, x + width, y + height))
    return found


def texts(svg: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_notes_neuron_shows_its_data_and_gradients() -> None:
    found = texts(draw(neuron()).svg())
    assert {"x1", "x2", "w1", "w2", "b", "o", "*", "+", "tanh"} <= set(found)
    for label, data, grad in (  # the lecture's numbers
        ("x1", "2.0000", "-1.5000"),
        ("x2", "0.0000", "0.5000"),
        ("w1", "-3.0000", "1.0000"),
        ("w2", "1.0000", "0.0000"),
        ("o", "0.7071", "1.0000"),
    ):
        at = found.index(label)
        assert found[at : at + 3] == [label, f"data {data}", f"grad {grad}"]


@pytest.mark.parametrize("make", [neuron, network, shared, lambda: Value(1.0)])
def test_boxes_do_not_overlap_and_lie_inside(make) -> None:
    svg = draw(make()).svg()
    root = ElementTree.fromstring(svg)
    left, top, width, height = map(float, root.get("viewBox", "").split())
    boxes = rectangles(svg)
    for x0, y0, x1, y1 in boxes:
        assert left <= x0 < x1 <= left + width
        assert top <= y0 < y1 <= top + height
    for a, b in itertools.combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@pytest.mark.parametrize("make", [neuron, network, shared])
def test_edges_run_left_to_right_and_through_no_box(make) -> None:
    svg = draw(make()).svg()
    boxes = rectangles(svg)
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        numbers = [float(x) for x in re.findall(r"-?\d+\.\d", path.get("d", ""))]
        points = list(zip(numbers[0::2], numbers[1::2], strict=True))
        assert [x for x, _ in points] == sorted(x for x, _ in points)
        for (xa, ya), (xb, yb) in itertools.pairwise(points[0::3]):  # without the control points
            for k in range(1, 40):  # along the Bezier curve from a to b
                t = k / 40
                middle = (xa + xb) / 2
                x = (1 - t) ** 3 * xa + 3 * t * (1 - t) * middle + t**3 * xb
                y = ((1 - t) ** 3 + 3 * t * (1 - t) ** 2) * ya + (t**3 + 3 * t * t * (1 - t)) * yb
                assert not any(
                    left + 1 < x < right - 1 and top < y < bottom
                    for left, top, right, bottom in boxes
                )


def test_every_operand_has_its_edge_and_labels_are_escaped() -> None:
    drawing = draw(shared())
    assert 'a <b> & "c"' in texts(drawing.svg())
    edges = sum(len(set(operands)) for operands in drawing.operands)
    pills = sum(bool(operands) for operands in drawing.operands)
    assert drawing.svg().count("<path") == edges + pills
    dot, mermaid = drawing.dot(), drawing.mermaid()
    assert dot.count("->") == mermaid.count("-->") == edges + pills
    assert 'a <b> & \\"c\\"' in dot
    assert mermaid.startswith("flowchart LR\n")
    assert '"a #60;b#62; #38; #34;c#34;<br>data 2.0000' in mermaid
    assert '(["#43;"])' in mermaid  # a bare + would be read as a list


def test_a_notebook_shows_the_picture_and_files_are_written(tmp_path: Path) -> None:
    drawing = draw(neuron())
    assert drawing._repr_svg_() == drawing.svg()
    for name, text in (("a.svg", drawing.svg()), ("a.dot", drawing.dot()), ("a.mmd", "flowchart")):
        assert drawing.save(tmp_path / name).read_text(encoding="utf-8").startswith(text)
    with pytest.raises(ValueError, match=r"'a.png': expected a name ending in .svg, .dot, .mmd"):
        drawing.save(tmp_path / "a.png")


def test_extreme_numbers_are_short() -> None:
    out = Value(1e-9) * Value(-2.5e12) + float("inf")
    assert {"data 1.00e-09", "data -2.50e+12", "data inf"} <= set(texts(draw(out).svg()))


def test_a_graph_too_large_to_read_is_refused() -> None:
    out = Value(0.0)
    for _ in range(600):
        out = out + 1
    with pytest.raises(ValueError, match="1201 nodes, expected at most 1000; draw one example"):
        draw(out)


def test_a_long_chain_is_laid_out_without_recursion() -> None:
    out = Value(0.0)
    for _ in range(900):
        out = -out
    assert len(rectangles(draw(out).svg())) == 1801
