"""A node of the graph: what it stores, its comparisons, and the attributes that micrograd has.

`Value` (value.py) adds the operations and `backward()`.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import isfinite
from types import FunctionType
from typing import Any

from hornbook.autograd.functions import Symbolic, is_number, name, number

new = object.__new__

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

    def _collapse(self, leaves: Mapping[Any, float]) -> None:
        """Frees the graph: this becomes one operation on `leaves`, whose gradients are those of one
        backward pass; the values of `leaves` are their earlier gradients, which are added."""
        self._left = self._by_hand = None
        self._children, self._derivatives = tuple(leaves), tuple(v.grad for v in leaves)
        for leaf, grad in leaves.items():
            leaf.grad += grad

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

    def __format__(self, spec: str) -> str:  # f"{loss:.4f}" is its data
        return format(self.data, spec) if spec else str(self)

    def _repr_svg_(self) -> str | None:
        """The graph as SVG, for notebooks; None where it is too large to read."""
        from hornbook.autograd.drawing import Drawing

        return None if is_larger(self, MAX_NODES_DISPLAYED) else Drawing(self).svg()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy of the whole graph, without recursion: it may be deeper than Python's stack."""
        nodes = [v for v in graph(self) if id(v) not in memo]
        memo.update((id(v), new(type(v))) for v in nodes)  # each operand is known before it is used
        for v in nodes:
            attributes, slots = v._state()
            for field, value in copy.deepcopy(attributes or {}, memo).items():
                setattr(memo[id(v)], field, value)
            for field, value in slots.items():
                setattr(memo[id(v)], field, memo[id(value)] if isinstance(value, Node) else value)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """For pickle: a graph as the list of its nodes, operands first, without recursion."""
        inside = self in getattr(_PICKLED, "nodes", ())
        return _restored, (type(self), None if inside else _Operands(self)), self._state()

    def _state(self) -> Any:
        """The attributes of this node, and its slots. Raises TypeError for a `_backward` that works
        on the original's Values whatever is copied."""
        if isinstance(self._by_hand, FunctionType):
            raise TypeError(
                f"a graph with a node made by hand ({name(self)}) cannot be copied or pickled: its "
                "_backward refers to the Values of the original; copy the parameters instead"
            )
        return super().__reduce_ex__(2)[2]

    def __repr__(self) -> str:
        label = f", label={self.label!r}" if self.label else ""
        return f"Value(data={self.data}, grad={self.grad}{label})"


class _Operands:
    """What a node was computed from, for pickle: pickled one by one, operands first, so that each
    finds its own already there."""

    def __init__(self, root: Node) -> None:
        self.root = root

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (), None, self._in_order()

    def _in_order(self) -> Iterator[Node]:
        before: frozenset[Node] = getattr(_PICKLED, "nodes", frozenset())
        nodes = in_order(self.root)
        _PICKLED.nodes = before | set(nodes)
        try:
            yield from nodes[:-1]
        finally:
            _PICKLED.nodes = before


_PICKLED = threading.local()  # nodes: those whose operands are pickled before them


def _restored(kind: type[Node], operands: Any) -> Node:
    """A node without its state, which pickle sets next."""
    return new(kind)


def in_order(root: Node) -> list[Any]:
    """The nodes that `root` was computed from, operands before results, each of them once."""
    ordered: dict[Any, None] = {}
    stack = [root]
    while stack:
        v = stack[-1]
        missing = [operand for operand in v._operands if operand not in ordered]
        stack += missing
        if not missing:
            ordered[stack.pop()] = None
    return list(ordered)


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


def check_gradients(nodes: Iterable[Node], total: float) -> None:
    """Raises OverflowError where the gradients of finite numbers are not finite.

    nodes: those that were passed through. total: the sum of all gradients that were passed on, which
    is finite unless one of them is not.
    """
    if isinstance(total, Symbolic) or isfinite(total):
        return
    edges = [(v, operand) for v in nodes for operand in v._operands]
    if not all(isfinite(v.data) for edge in edges for v in edge):
        return  # infinity and NaN that a program put in itself go on, as in torch
    for v, operand in edges:
        if isfinite(v.grad) and not isfinite(operand.grad):
            raise OverflowError(
                f"backward: the gradient of {operand.data!r} ({name(operand)}) is too large for a "
                "float; divide the result by a large number, or start from smaller weights"
            )


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
