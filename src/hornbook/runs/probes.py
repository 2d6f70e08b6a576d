"""probes.jsonl: what was recorded inside a model while it was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hornbook.files import read_lines
from hornbook.runs.schema import ProbeRecord, checked


def read_probes(path: Path, damage: list[str] | None = None) -> list[dict[str, Any]]:
    """The records of probes.jsonl; where `damage` is given, up to the first line that is damaged."""
    return read_lines(path, lambda record: checked(path, record, ProbeRecord), damage=damage)
