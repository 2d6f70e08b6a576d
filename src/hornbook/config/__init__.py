"""Settings: sections, and how they are layered."""

from __future__ import annotations

from hornbook.config.layering import merge, read_settings, read_toml
from hornbook.config.sections import (
    SECTIONS,
    DataConfig,
    FinetuningConfig,
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
    "FinetuningConfig",
    "ModelConfig",
    "Nested",
    "OptimConfig",
    "RunConfig",
    "Settings",
    "TokenizerConfig",
    "TrainingConfig",
    "merge",
    "read_settings",
    "read_toml",
]
