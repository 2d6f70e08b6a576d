"""probes.jsonl is read as far as it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from hornbook.errors import RunError
from hornbook.runs.probes import read_probes


def test_records_are_read_up_to_damage(tmp_path: Path) -> None:
    path = tmp_path / "probes.jsonl"
    assert read_probes(path) == []
    path.write_text(
        '{"kind": "probe", "step": 1}\n{"kind": "what"}\n{"kind": "probe", "step": 2}\n'
    )
    with pytest.raises(RunError, match="kind"):
        read_probes(path)
    damage: list[str] = []
    assert [r["step"] for r in read_probes(path, damage)] == [1]
    assert len(damage) == 1
