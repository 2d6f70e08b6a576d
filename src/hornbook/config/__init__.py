"""Settings: sections, and how they are layered."""

from __future__ import annotations

from hornbook.config.layering import merge, parse_overrides, read_toml
from hornbook.config.sections import (
    SECTIONS,
    DataConfig,
    ModelConfig,
    Nested,
    OptimConfig,
    RunConfig,
    Settings,
    TokenizerConfig,
    TrainingConfig,
)

__all__ = [
    "SECTIONS",
    "DataConfig",
    "ModelConfig",
    "Nested",
    "OptimConfig",
    "RunConfig",
    "Settings",
    "TokenizerConfig",
    "TrainingConfig",
    "merge",
    "parse_overrides",
    "read_toml",
]
