"""Functions of tensors as graphs of operations that run without Python.

Where a computation is many small operations, calling them from Python takes longer than running them.
When they are the same each time they can be traced once, by torch.fx, and run by TorchScript's
interpreter, which starts each in half the time of Python, with the same result to the bit. Torch's
compiler turns them into a few loops: half the time again, after tens of seconds, equal to rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hornbook.kernels.tuning import INDUCTOR_OPTIONS, MAX_SCRIPTS

if TYPE_CHECKING:
    from torch.fx import GraphModule

# raised by torch for a function that it cannot trace
TRACE_ERRORS = (RuntimeError, SyntaxError, TypeError, NotImplementedError, AssertionError)
_lock = Lock()  # torch.fx patches what all threads share


def trace(function: Callable[..., Any], *examples: Tensor) -> GraphModule:
    """The operations of function(*examples), for other tensors of the same shapes.

    Python values that it computes without a tensor are constants of the graph; writes to its arguments
    are operations. Raises one of `TRACE_ERRORS` where torch cannot trace it.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.fx.experimental.proxy_tensor import make_fx  # imports sympy: 0.2 s

        return make_fx(function)(*examples)


class Scripts:
    """Graphs run by TorchScript's interpreter, of which torch keeps some 10 MB each until it ends."""

    def __init__(self, limit: int = MAX_SCRIPTS) -> None:
        self.limit, self.made = limit, 0

    def script(self, graph: GraphModule, *examples: Tensor) -> Callable[..., Any]:
        """The graph as a callable. Raises RuntimeError when `limit` of them have been made."""
        with _lock, warnings.catch_warnings():
            if self.made == self.limit:
                raise RuntimeError(f"{self.limit} graphs have been scripted")
            self.made += 1
            # deprecated, but the Python code of torch.fx takes 1.2 times as long
            warnings.simplefilter("ignore")
            traced: Callable[..., Any]
            traced = torch.jit.trace(graph, examples, check_trace=False)  # type: ignore[no-untyped-call]
        return traced


SCRIPTS = Scripts()  # of the process


def compile_trace(graph: GraphModule, *examples: Tensor) -> Callable[..., Any]:
    """The graph as a few loops of C++, without gradients. Raises RuntimeError where that fails.

    Not torch.compile, which checks at each call what a function depends on: a tenth of the time of
    small steps.
    """
    with _lock, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        from torch._inductor import standalone_compile  # a second to import

        compiled: Callable[..., Any] = standalone_compile(
            graph,
            list(examples),
            dynamic_shapes="from_example_inputs",
            options={"config_patches": INDUCTOR_OPTIONS},
        )
    return compiled
