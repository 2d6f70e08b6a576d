"""A node of the graph: what it stores, its comparisons, and the attributes that micrograd has.

`Value` (value.py) adds the operations and `backward()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hornbook.autograd.functions import is_number, number

MAX_NODES_DISPLAYED = 200  # of a graph that a notebook displays by itself; `draw` takes more


class Node:
    """A number, its gradient, and the operands it was computed from."""

    # An operation's node has a _left operand and maybe a _right one, each with the derivative of
    # data with respect to it. A node made by hand has _children instead; a leaf has neither.
    # _waits is the number of gradients that backward() still has to add; None for a leaf.
    # __dict__ holds attributes that a program adds to a parameter, such as its momentum.
    __slots__ = (
        "__dict__", "_d_left", "_d_right", "_left", "_op", "_right", "_waits", "data", "grad",
    )  # fmt: skip
    _left: Any  # Value | None
    _right: Any
    _d_left: float
    _d_right: float
    label: str = ""
    _children: tuple[Any, ...] = ()
    _derivatives: tuple[float, ...] = ()
    _by_hand: Callable[[], None] | None = None

    def __init__(
        self, data: Any, _children: Iterable[Node] = (), _op: str = "", label: str = ""
    ) -> None:
        """Makes a leaf, or, with `_children`, a node whose `_backward` the caller sets (micrograd)."""
        self.data: float = data if type(data) is float else number(data)
        self.grad: float = 0.0
        self._op = _op
        self._left = self._right = None
        self._waits: Any = None  # int | None
        if label:
            self.label = label
        if _children:
            self._children = tuple(_children)
            self._waits = 0

    @property
    def _operands(self) -> tuple[Any, ...]:
        if self._left is None:
            return self._children
        return (self._left,) if self._right is None else (self._left, self._right)

    @property
    def _prev(self) -> set[Any]:
        return set(self._operands)

    @property
    def _backward(self) -> Callable[[], None]:
        return self._by_hand or self._push

    @_backward.setter
    def _backward(self, step: Callable[[], None]) -> None:
        self._children, self._left, self._by_hand = self._operands, None, step

    def _push(self) -> None:
        """The chain rule for this node: adds derivative * gradient to the grad of each operand."""
        derivatives = self._derivatives if self._left is None else (self._d_left, self._d_right)
        grad = self.grad
        for operand, derivative in zip(self._operands, derivatives, strict=False):
            operand.grad += derivative * grad

    def _arrived(self) -> bool:
        """Counts a gradient that has been added; whether it was the last one."""
        self._waits -= 1
        return not self._waits

    def __eq__(self, other: object) -> bool:
        return NotImplemented if (y := _data(other)) is None else self.data == y

    def __lt__(self, other: Any) -> bool:
        return NotImplemented if (y := _data(other)) is None else self.data < y

    def __le__(self, other: Any) -> bool:
        return NotImplemented if (y := _data(other)) is None else self.data <= y

    def __gt__(self, other: Any) -> bool:
        return NotImplemented if (y := _data(other)) is None else self.data > y

    def __ge__(self, other: Any) -> bool:
        return NotImplemented if (y := _data(other)) is None else self.data >= y

    __hash__ = object.__hash__

    def __float__(self) -> float:
        return float(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def _repr_svg_(self) -> str | None:
        """The graph as SVG, for notebooks; None where it is too large to read."""
        from hornbook.autograd.drawing import Drawing

        return None if is_larger(self, MAX_NODES_DISPLAYED) else Drawing(self).svg()

    def __repr__(self) -> str:
        label = f", label={self.label!r}" if self.label else ""
        return f"Value(data={self.data}, grad={self.grad}{label})"


def graph(root: Any) -> list[Any]:
    """The nodes that `root` was computed from, itself first, each of them once.

    Raises TypeError for anything but a Value.
    """
    if not isinstance(root, Node):
        raise TypeError(
            f"a graph ends in one Value, not in a {type(root).__name__!r}: pass one Value to draw, "
            "and return one from the function for check or compile"
        )
    found = {root: None}
    stack = [root]
    while stack:
        for operand in stack.pop()._operands:
            if operand not in found:
                found[operand] = None
                stack.append(operand)
    return list(found)


def is_larger(root: Node, most: int) -> bool:
    """Whether a graph has more than `most` nodes; stops counting there."""
    found, stack = {root}, [root]
    while stack and len(found) <= most:
        new = [operand for operand in stack.pop()._operands if operand not in found]
        found.update(new)
        stack += new
    return len(found) > most


def _data(other: Any) -> Any:
    """The data of a node, or a number itself; None for anything else."""
    return other.data if isinstance(other, Node) else other if is_number(other) else None
