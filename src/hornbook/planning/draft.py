"""The settings of a run while they are decided."""

from __future__ import annotations

from typing import Any

from hornbook.config import Nested, RunConfig, merge
from hornbook.models.registry import parse_run_config
from hornbook.planning.decision import REQUESTED, Decision


class Draft:
    """Settings of a preset under those that were requested; what neither fixes is decided.

    preset: its settings, whatever was requested. Raises ConfigError for a wrong field or value.
    """

    def __init__(self, preset: Nested, requested: Nested) -> None:
        self.preset = parse_run_config(merge(preset, {"model": requested.get("model", {})}))
        self._requested = requested
        self._values: Nested = parse_run_config(merge(preset, requested)).model_dump()
        self.decisions: dict[str, Decision[Any]] = {}

    def is_requested(self, name: str) -> bool:
        """Whether a setting, such as `training.steps`, is requested."""
        section, field = name.split(".")
        return field in self._requested.get(section, {})

    def has(self, name: str) -> bool:
        """Whether there is such a setting; models differ in theirs."""
        section, field = name.split(".")
        return field in self._values[section]

    def __getitem__(self, name: str) -> Any:
        section, field = name.split(".")
        return self._values[section][field]

    def propose(self, name: str, decision: Decision[Any]) -> Decision[Any]:
        """Sets a setting, unless it was requested, until it is decided: trial steps need a value.
        Returns what it is set to."""
        section, field = name.split(".")
        if self.is_requested(name):
            decision = Decision(self[name], REQUESTED)
        self._values[section][field] = decision.value
        return decision

    def decide(self, name: str, decision: Decision[Any]) -> Any:
        """Sets a setting, unless it was requested, for good and returns its value. Each setting is
        decided once."""
        assert name not in self.decisions, f"{name} is decided in two places"
        self.decisions[name] = decision = self.propose(name, decision)
        return decision.value

    def config(self) -> RunConfig:
        """The settings as they stand, frozen."""
        return parse_run_config(merge(self._values))
