"""The first weights of a model that is sharded, drawn tensor by tensor.

Every rank draws the same numbers as one process would, and keeps its rows of each tensor: no rank holds
more than one tensor as a whole, and nothing is sent. The model itself is built on the device `meta`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from hornbook.config import ModelConfig
from hornbook.models.base import LanguageModel, blocks_of
from hornbook.models.registry import construct
from hornbook.parallel.shards import rows_of
from hornbook.process import standard_defaults

# what sets all values of a tensor, whatever it holds: methods, and functions of torch.nn.init
SETS_ALL = {
    "normal_", "uniform_", "zero_", "fill_",
    "zeros_", "ones_", "constant_", "trunc_normal_",
    "kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_",
}  # fmt: skip


class _Drawing(TorchFunctionMode):
    """Empty tensors take no memory; what is set in them is kept in rows: `kept`, by their storage."""

    def __init__(self, keep: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.keep = keep
        self.kept: dict[int, tuple[object, Tensor]] = {}  # the storage, too: no other has its place

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.empty:
            return func(*args, **{**kwargs, "device": "meta"})
        name = getattr(func, "__name__", "")
        if not name.endswith("_") or name.endswith("__") or name == "requires_grad_":
            return func(*args, **kwargs)
        target = kwargs.get("tensor", args[0] if args else None)
        if not isinstance(target, Tensor) or not target.is_meta:
            return func(*args, **kwargs)
        storage = target.untyped_storage()
        if name not in SETS_ALL or storage.nbytes() != target.nbytes:
            raise NotImplementedError(f"{name} changes a weight whose values are not all here")
        others = {key: value for key, value in kwargs.items() if key != "tensor"}
        with torch.no_grad():
            whole = torch.empty(target.shape, dtype=target.dtype, device="cpu")
            func(whole, *args[1:], **others)
        self.kept[storage._cdata] = storage, self.keep(whole)
        return target


def draw_rows(
    config: ModelConfig, vocab_size: int, end_id: int | None, index: int, count: int
) -> tuple[LanguageModel, dict[str, Tensor]]:
    """A fresh model whose parameters are on `meta`, and of each parameter the rows of one shard.

    index: of the shard, among `count`. Draws from torch's global generator what `build_model` draws.
    Raises NotImplementedError for a model without blocks, which is small, and for one whose weights
    are not set tensor by tensor.
    """

    def keep(whole: Tensor) -> Tensor:
        first, end = rows_of(len(whole), index, count)
        return whole.detach()[first:end].clone()

    mode = _Drawing(keep)
    with standard_defaults(), mode:
        model = construct(config, vocab_size, end_id)
    if not blocks_of(
        model
    ):  # also since torch's orthogonal_ does nothing on `meta`, and says nothing
        raise NotImplementedError(f"{config.name} has no blocks")
    rows: dict[str, Tensor] = {}
    for name, parameter in list(model.named_parameters()):
        if parameter.is_meta:
            place = parameter.untyped_storage()._cdata
            if place not in mode.kept:
                raise NotImplementedError(f"{name} is set by something else")
            rows[name] = mode.kept[place][1]
        else:
            rows[name] = keep(parameter)
            module, _, own = name.rpartition(".")
            empty = nn.Parameter(parameter.to("meta"), parameter.requires_grad)
            setattr(model.get_submodule(module), own, empty)
    return model, rows
