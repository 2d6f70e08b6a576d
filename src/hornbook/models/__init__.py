"""The models behind one contract, each in a file of its own; none imports another."""

from __future__ import annotations

from hornbook.models.base import LanguageModel
from hornbook.models.registry import MODELS, build_model, model_config

__all__ = ["MODELS", "LanguageModel", "build_model", "model_config"]
