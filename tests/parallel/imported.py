"""What the ranks of the tests need, imported once in the process that they are forked from."""

from __future__ import annotations

import torch
import torch.distributed

import hornbook.api
import hornbook.cli.train
import tests.parallel.work

torch.set_num_threads(1)
__all__ = ["hornbook", "tests"]
