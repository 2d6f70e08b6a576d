"""Files of a run: what they have to look like, and how those of older formats are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hornbook.errors import RunError
from hornbook.runs.schema import (
    FORMAT,
    Facts,
    Pointer,
    Position,
    ProbeRecord,
    Record,
    checked,
    migrated,
)

FIXTURES = Path(__file__).parent.parent / "fixtures" / "format2"
PLACE = Path("run/config.json")


def facts_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / name / "config.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize(
    "place", sorted(FIXTURES.glob("*/config.json")), ids=lambda p: p.parent.name
)
def test_older_facts_become_those_of_today(place: Path) -> None:
    before = json.loads(place.read_text("utf-8"))
    found = migrated(place, before)
    assert before["format"] in (1, 2)
    assert found["format"] == FORMAT
    checked(place, found, Facts)
    checked(place, migrated(place, found), Facts)  # today's stay as they are
    assert migrated(place, found) == found


def test_the_schedule_of_a_timed_run_leaves_the_settings() -> None:
    before = facts_of("paces")
    found = migrated(PLACE, before)
    assert found["schedule"] == before["config"]["optim"]["paces"]
    assert "paces" not in found["config"]["optim"]
    assert before["config"]["optim"]["paces"]  # what was read is not changed
    assert "schedule" not in migrated(PLACE, facts_of("gpt"))


def test_formats_1_and_2_say_less_of_the_hardware() -> None:
    before = facts_of("format1-interrupted")
    assert "threads" not in before["hardware"]
    found = migrated(PLACE, before)["hardware"]
    assert (found["threads"], found["compiled"]) == (None, "no")
    before = facts_of("gpt")
    before["hardware"]["compiled"] = "updates"
    assert migrated(PLACE, before)["hardware"]["compiled"] == "steps"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (FORMAT + 1, rf"found format {FORMAT + 1}, expected {FORMAT} or older; install a newer"),
        (0, "found format 0.*damaged"),
        (True, "found format True.*damaged"),
        ("2", "found format '2'.*damaged"),
        (None, "found format None.*damaged"),
    ],
)
def test_other_formats_are_refused(found: object, message: str) -> None:
    with pytest.raises(RunError, match=rf"config\.json: {message}"):
        migrated(PLACE, {"format": found})


@pytest.mark.parametrize("format", [1, 2])
@pytest.mark.parametrize("spoilt", [{"config": []}, {"hardware": "x"}, {"config": {"optim": 3}}])
def test_damage_of_an_older_format_is_refused_not_migrated(
    format: int, spoilt: dict[str, Any]
) -> None:
    facts = migrated(PLACE, {**facts_of("gpt"), "format": format, **spoilt})
    with pytest.raises(RunError, match=r"config\.json: damaged: (config|hardware)"):
        checked(PLACE, facts, Facts)


HISTORY = {
    "patience": 0, "best": None, "best_step": 0, "since_best": 0, "told": False, "seen": [],
}  # fmt: skip
POSITION = {"step": 4, "tokens": 100, "seconds": 0.5, "records": 4, "watch": HISTORY}
RECORD = {"step": 1, "tokens": 10, "seconds": 0.1, "loss": 2.0, "tokens_per_second": 100.0}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Position, POSITION),
        (
            Position,
            {**POSITION, "steps": 9, "schedule": [[0, 0.0, 9]], "overrides": {"grad_clip": 1}},
        ),
        (Pointer, {"format": 2, "step": 4, "newest": "a", "before": None}),
        (Pointer, {"format": 2, "step": 4, "newest": "a", "before": "b", "total_steps": 9}),
        (Record, RECORD),
        (Record, {**RECORD, "val_loss": None, "another": 1}),
        (ProbeRecord, {"kind": "probe", "step": 1, "more": []}),
    ],
)
def test_what_is_written_is_read(kind: Any, data: dict[str, Any]) -> None:
    checked(PLACE, data, kind)


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (Position, {**POSITION, "step": -1}, "step: found -1"),
        (Position, {**POSITION, "step": 1.5}, r"step: found 1\.5"),
        (Position, {**POSITION, "odd": 1}, "odd: no such field"),
        (Position, {**POSITION, "overrides": {"beta1": 0.1}}, "overrides"),
        (Position, {**POSITION, "schedule": [[0, 0.0]]}, r"schedule\.0"),
        (Position, {"step": 4}, "tokens: found nothing"),
        (Pointer, {"format": 2, "step": 4, "newest": None, "before": None}, "newest: found None"),
        (Record, {**RECORD, "loss": 1e300}, r"loss: found 1e\+300"),
        (Record, {**RECORD, "seconds": float("nan")}, "seconds: found nan"),
        (ProbeRecord, {"kind": "other", "step": 1}, "kind: found 'other'"),
    ],
)
def test_anything_else_is_refused_by_field(kind: Any, data: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError, match=rf"run/config\.json: (damaged: )?{message}"):
        checked(PLACE, data, kind)
