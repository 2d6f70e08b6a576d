"""Functions of tensors as a list of operations that runs without Python.

Where a computation is many small operations, calling them from Python takes longer than they do. When
they are the same each time they can be recorded once: torch.fx sees them one by one, and TorchScript's
interpreter starts each in half the time that Python takes, with the same result to the bit. Torch's
compiler makes a few loops of them: half the time again, after tens of seconds, to rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

# what torch cannot record
CANNOT = (RuntimeError, SyntaxError, TypeError, NotImplementedError, AssertionError)
MOST = 24  # recordings of a process: torch keeps each, some 10 MB, until it ends
CPP = {  # of torch's compiler, as measured (docs/logbook.md)
    "cpp_wrapper": True,  # no Python between the loops
    "pattern_matcher": False,  # or a product and what is added become one, which takes twice as long
    "cpp.min_chunk_size": 4096,  # numbers from which a thread is worth its start
}
_recording = Lock()  # torch.fx patches what all threads share
_made = 0


def trace(function: Callable[..., Any], *examples: Tensor) -> GraphModule:
    """The operations of function(*examples), for other tensors of the same shapes.

    What it computes without a tensor is taken to be the same each time, and what it writes to its
    arguments is written again. Raises one of `CANNOT` where it cannot be recorded.
    """
    with _recording, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_fx(function)(*examples)


def record(function: Callable[..., Any], *examples: Tensor) -> Callable[..., Any]:
    """The same, run by TorchScript's interpreter."""
    global _made
    graph = trace(function, *examples)
    with _recording, warnings.catch_warnings():
        if _made == MOST:
            raise RuntimeError(f"{MOST} recordings have been made")
        _made += 1
        warnings.simplefilter("ignore")  # TorchScript is deprecated, but none is as fast
        _view_once(graph)
        traced: Callable[..., Any] = torch.jit.trace(  # type: ignore[no-untyped-call]
            graph, examples, check_trace=False
        )
    return traced


def _view_once(graph: GraphModule) -> None:
    """Takes views of weights now; what is written to the weights later is seen in them."""
    for node in graph.graph.nodes:
        sources = node.all_input_nodes
        if getattr(node.target, "is_view", False) and [s.op for s in sources] == ["get_attr"]:
            view = node.target(
                *(getattr(graph, a.target) if a in sources else a for a in node.args)
            )
            if isinstance(view, Tensor):
                setattr(graph, f"of_{node.name}", view.detach())
                with graph.graph.inserting_before(node):
                    node.replace_all_uses_with(graph.graph.get_attr(f"of_{node.name}"))
    graph.graph.eliminate_dead_code()
    graph.recompile()


def compile_trace(graph: GraphModule, *examples: Tensor) -> Callable[..., Any]:
    """The same as a few loops of C++, without gradients. Raises a RuntimeError where it fails.

    Not torch.compile, which looks at what a function depends on each time it is called: a tenth of
    the time of small updates.
    """
    with _recording, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        from torch._inductor import standalone_compile  # a second to import

        compiled: Callable[..., Any] = standalone_compile(
            graph,
            list(examples),
            dynamic_shapes="from_example_inputs",
            options={"config_patches": CPP},
        )
    return compiled
