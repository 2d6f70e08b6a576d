"""How far a run is, by the files of its states."""

from __future__ import annotations

from pathlib import Path

import pytest

from hornbook.files import write_json
from hornbook.runs.position import saved_step, saved_total


def test_the_pointer_says_it_and_else_the_names_of_the_states(tmp_path: Path) -> None:
    assert saved_step(tmp_path) is saved_total(tmp_path) is None
    (tmp_path / "last").mkdir()
    for name in ("state-00000007.safetensors", "state-00000012-1.safetensors", "other.safetensors"):
        (tmp_path / "last" / name).write_bytes(b"")
    assert saved_step(tmp_path) == 12
    assert saved_total(tmp_path) is None
    write_json(tmp_path / "last" / "state.json", {"step": 7, "total_steps": 30})
    assert (saved_step(tmp_path), saved_total(tmp_path)) == (7, 30)


@pytest.mark.parametrize("damaged", ["[]", "{", '{"step": "many", "total_steps": null}'])
def test_a_damaged_pointer_says_nothing(damaged: str, tmp_path: Path) -> None:
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "state.json").write_text(damaged)
    assert saved_step(tmp_path) is saved_total(tmp_path) is None
