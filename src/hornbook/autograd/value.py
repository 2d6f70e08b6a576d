"""A scalar that records how it was computed, and its derivative with respect to every operand.

Each operation makes a node: its result, its operands, and beside each operand the derivative of the
result with respect to it. `backward()` goes from a result to the leaves, multiplying and adding
these derivatives, which is the chain rule.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from hornbook.autograd import functions as fn
from hornbook.autograd.functions import call
from hornbook.autograd.node import Node, check_gradients, new


class Value(Node):
    """A scalar of a computation: `data`, `grad` (d result / d this) and an optional `label`.

    Comparisons, `==` included, compare `data`; sets and dicts distinguish Values by identity, as in
    torch. Raises TypeError for data that is not a real number. An operation on finite numbers whose
    result or slope is not real or not finite raises ValueError or ArithmeticError, and names them.
    """

    __slots__ = ()

    def __add__(self, other: Any) -> Value:
        if not isinstance(other, Value) and (other := _constant(other)) is None:
            return NotImplemented
        return _node(self.data + other.data, "+", self, 1.0, other, 1.0)

    def __sub__(self, other: Any) -> Value:
        if not isinstance(other, Value) and (other := _constant(other)) is None:
            return NotImplemented
        return _node(self.data - other.data, "-", self, 1.0, other, -1.0)

    def __mul__(self, other: Any) -> Value:
        if not isinstance(other, Value) and (other := _constant(other)) is None:
            return NotImplemented
        return _node(self.data * other.data, "*", self, other.data, other, self.data)

    def __truediv__(self, other: Any) -> Value:
        if not isinstance(other, Value) and (other := _constant(other)) is None:
            return NotImplemented
        ratio = call(fn.divide, self, other)
        return _node(ratio, "/", self, 1.0 / other.data, other, -(ratio / other.data))

    def __pow__(self, other: Any) -> Value:
        exponent = other if isinstance(other, Value) else _constant(other)
        if exponent is None:
            return NotImplemented
        power, slope = call(fn.power, self, exponent), call(fn.power_slope, self, exponent)
        if exponent is not other:  # a plain number needs no gradient
            return _node(power, f"**{other}", self, slope)
        return _node(power, "**", self, slope, exponent, call(fn.power_log, self, exponent))

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> Value:
        return NotImplemented if (left := _constant(other)) is None else left - self

    def __rtruediv__(self, other: Any) -> Value:
        return NotImplemented if (left := _constant(other)) is None else left / self

    def __rpow__(self, other: Any) -> Value:
        return NotImplemented if (left := _constant(other)) is None else left**self

    def __neg__(self) -> Value:
        return _node(-self.data, "neg", self, -1.0)

    def __abs__(self) -> Value:
        return _node(call(fn.absolute, self), "abs", self, call(fn.sign, self))

    abs = __abs__

    def max(self, other: Any) -> Value:
        """The larger of two. Equal arguments share the gradient, as in torch."""
        other = other if isinstance(other, Value) else Value(other)
        larger, d_self = call(fn.larger, self, other), call(fn.larger_slope, self, other)
        return _node(larger, "max", self, d_self, other, call(fn.larger_slope, other, self))

    def relu(self) -> Value:
        """max(0, x)."""
        return _node(call(fn.relu, self), "ReLU", self, call(fn.step, self))

    def tanh(self) -> Value:
        """The hyperbolic tangent."""
        t = call(fn.tanh, self)
        return _node(t, "tanh", self, 1.0 - t * t)

    def sigmoid(self) -> Value:
        """1 / (1 + e^-x)."""
        s = call(fn.sigmoid, self)
        return _node(s, "sigmoid", self, s * (1.0 - s))

    def exp(self) -> Value:
        """e^x. Raises OverflowError above 709.78."""
        e = call(fn.exp, self)
        return _node(e, "exp", self, e)

    def log(self) -> Value:
        """The natural logarithm. Raises ValueError unless x > 0."""
        return _node(call(fn.log, self), "log", self, 1.0 / self.data)

    def sqrt(self) -> Value:
        """The square root. Raises ValueError below 0, and ZeroDivisionError at 0 (infinite slope)."""
        return _node(call(fn.sqrt, self), "sqrt", self, call(fn.sqrt_slope, self))

    def sin(self) -> Value:
        """The sine."""
        return _node(call(fn.sin, self), "sin", self, call(fn.cos, self))

    def cos(self) -> Value:
        """The cosine."""
        return _node(call(fn.cos, self), "cos", self, -call(fn.sin, self))

    def backward(self, retain_graph: bool = True) -> None:
        """Adds d self / d v to `v.grad` for itself and for every v that it was computed from.

        Gradients accumulate over calls, as in torch; call `zero_grad` in between. A graph has no
        cycles and is freed with its result. `retain_graph=False` frees it now, and turns self into
        one operation on its leaves. Raises OverflowError for a gradient too large for a float.
        """
        nodes, earlier, total = [self], [(self, self.grad)], 0.0
        leaves: dict[Value, float] = {}  # with their earlier gradients, if the graph is freed
        try:
            for v in nodes:  # grows: counts the gradients that each operand waits for
                for operand in v._children if v._left is None else (v._left, v._right):
                    if operand is None:
                        continue
                    waits = operand._waits
                    if waits is None:
                        if not retain_graph:
                            leaves.setdefault(operand, operand.grad)
                            operand.grad = 0.0
                        continue
                    if not waits:
                        nodes.append(operand)
                        if operand.grad:  # of an earlier call, already passed on
                            earlier.append((operand, operand.grad))
                            operand.grad = 0.0
                    operand._waits = waits + 1
            self.grad = 1.0
            ready = [self]
            while ready:  # the chain rule: derivative * gradient to each operand
                v = ready.pop()
                grad, left, right = v.grad, v._left, v._right
                if left is None:
                    v._backward()
                    ready += [child for child in v._children if child._waits and child._arrived()]
                    continue
                d_left, d_right = v._d_left * grad, v._d_right * grad
                total += d_left + d_right
                left.grad += d_left
                if left._waits is not None:
                    left._waits -= 1
                    if not left._waits:
                        ready.append(left)
                if right is not None:
                    right.grad += d_right
                    if right._waits is not None:
                        right._waits -= 1
                        if not right._waits:
                            ready.append(right)
        except BaseException:  # such as KeyboardInterrupt: reset the counts
            for v in nodes[1:]:
                v._waits = 0
            raise
        check_gradients(nodes, total)
        for v, grad in earlier:
            v.grad += grad
        if not retain_graph:
            self._collapse(leaves)


def _node(
    data: float, op: str, left: Value, d_left: float, right: Any = None, d_right: float = 0.0
) -> Value:
    """An operation's result, with d data / d operand beside each operand."""
    try:
        if not (isfinite(data) and isfinite(d_left + d_right)):
            fn.check_finite(op, data, (d_left, d_right), left, right)
    except TypeError:  # of a symbolic number
        pass
    v = new(Value)  # __init__ would take half as long again
    v.data = data
    v.grad = 0.0
    v._op = op
    v._left, v._d_left = left, d_left
    v._right, v._d_right = right, d_right
    v._waits = 0
    return v


def _constant(data: Any) -> Value | None:
    """A real number as a leaf; None for anything else."""
    return None if (number := fn.operand(data)) is None else Value(number)
