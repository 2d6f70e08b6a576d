"""Functions of tensors as a list of operations that runs without Python.

Where a computation is many small operations, calling them from Python takes longer than they do. When
they are the same each time they can be recorded once: torch.fx sees them one by one, and TorchScript's
interpreter starts each in half the time that Python takes, with the same result to the bit.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

# what torch cannot record
CANNOT = (RuntimeError, SyntaxError, TypeError, NotImplementedError, AssertionError)
MOST = 24  # recordings of a process: torch keeps each, some 10 MB, until it ends
_recording = Lock()  # torch.fx patches what all threads share
_made = 0


def record(function: Callable[..., Any], *examples: Tensor) -> Callable[..., Any]:
    """The operations of function(*examples), for other tensors of the same shapes.

    What it computes without a tensor is taken to be the same each time, and what it writes to its
    arguments is written again. Raises one of `CANNOT` where it cannot be recorded.
    """
    global _made
    with _recording, warnings.catch_warnings():
        if _made == MOST:
            raise RuntimeError(f"{MOST} recordings have been made")
        _made += 1
        warnings.simplefilter("ignore")  # TorchScript is deprecated, but none is as fast
        graph = make_fx(function)(*examples)
        traced: Callable[..., Any] = torch.jit.trace(  # type: ignore[no-untyped-call]
            graph, examples, check_trace=False
        )
    return traced
