"""probes.jsonl: read whole, or up to the first line that is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from hornbook.errors import RunError
from hornbook.files import write_lines
from hornbook.runs.probes import read_probes

RECORDS = [
    {"kind": "probe", "step": 1, "parameters": {"a": [0.5]}},
    {"kind": "novelty", "step": 8, "copied": 0.25},
]


def test_records_are_read_and_a_missing_file_has_none(tmp_path: Path) -> None:
    place = tmp_path / "probes.jsonl"
    assert read_probes(place) == []
    write_lines(place, RECORDS)
    assert read_probes(place) == RECORDS


@pytest.mark.parametrize("line", ["{garbled", '{"kind": "other", "step": 2}', '{"kind": "probe"}'])
def test_damage_is_refused_or_ends_the_records(line: str, tmp_path: Path) -> None:
    place = tmp_path / "probes.jsonl"
    write_lines(place, RECORDS)
    with place.open("a") as file:
        file.write(f'{line}\n{{"kind": "probe", "step": 9}}\n')
    with pytest.raises(RunError, match=r"probes\.jsonl"):
        read_probes(place)
    damage: list[str] = []
    assert read_probes(place, damage) == RECORDS
    assert len(damage) == 1
