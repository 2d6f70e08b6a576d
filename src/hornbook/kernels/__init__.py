"""Faster forms of the same mathematics, installed from outside the models.

`install` replaces the textbook layers of a CPU model by the subclasses in this package, and
`StaticDecoder` speeds up decoding. Without them the same numbers come out, to rounding.
"""

from __future__ import annotations

from hornbook.kernels.decoding import StaticDecoder
from hornbook.kernels.install import install, uninstall

__all__ = ["StaticDecoder", "install", "uninstall"]
