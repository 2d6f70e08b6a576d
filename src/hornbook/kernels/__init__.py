"""Faster forms of the same mathematics, installed from outside the models.

`install` replaces the textbook layers of a CPU model by the subclasses in this package. `StaticDecoder`
and `use_fast_cache` speed up decoding. Without them the same numbers come out, to rounding.
"""

from __future__ import annotations

from hornbook.kernels.decoding_cache import use_fast_cache
from hornbook.kernels.install import install, uninstall
from hornbook.kernels.static_decoding import StaticDecoder

__all__ = ["StaticDecoder", "install", "uninstall", "use_fast_cache"]
