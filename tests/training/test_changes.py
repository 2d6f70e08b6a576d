"""What may be changed when a run is resumed, and that it is kept with the state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import hornbook
from hornbook.errors import ConfigError, HornbookError, RunError
from hornbook.files import read_json
from hornbook.optim.schedules import Segment
from hornbook.runs.directory import StoredRun
from hornbook.training.changes import changed_run
from hornbook.training.checkpoint import read_position
from hornbook.training.interrupts import Interrupted
from tests.training.helpers import At, Listen, die, state_steps, stop

RATES = {"optim": {"learning_rate": 1e-4, "grad_clip": 0.5}}


def test_nothing_changed_is_nothing_to_save(copy: Path) -> None:
    found = changed_run(StoredRun.load(copy), None, {})
    assert (found.changed, found.extended, found.notes) == (False, False, ())
    assert found.schedule.segments == (Segment(0, 0.0, 12),)
    assert not found.overrides
    assert not changed_run(StoredRun.load(copy), 12, {}).changed


def test_rates_are_changed_in_the_settings_and_noted(copy: Path) -> None:
    found = changed_run(StoredRun.load(copy), None, {"optim": {"learning_rate": "1e-4"}})
    assert found.config.optim.learning_rate == found.schedule.config.learning_rate == 1e-4
    assert found.overrides == {"learning_rate": 1e-4}
    assert found.changed
    assert found.notes == ("optim.learning_rate is 0.0001 from here on",)


def test_more_steps_follow_the_schedule_of_the_new_total(copy: Path) -> None:
    found = changed_run(StoredRun.load(copy), 30, {})
    assert (found.changed, found.extended) == (True, True)
    assert found.schedule.segments == (Segment(0, 0.0, 30),)
    assert "30 steps instead of 12" in found.notes[0]
    fewer = changed_run(StoredRun.load(copy), 9, {})
    assert (fewer.changed, fewer.extended, fewer.schedule.total_steps) == (True, False, 9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optim": {"beta1": 0.5}}, r"optim\.beta1: found it beside --resume"),
        ({"model": {"n_layer": 3}}, r"model\.n_layer: found it beside --resume"),
        ({"optim": {"learning_rate": -1}}, r"optim\.learning_rate: found -1"),
    ],
)
def test_other_changes_are_refused(
    settings: dict[str, dict[str, float]], message: str, copy: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        changed_run(StoredRun.load(copy), None, settings)


@pytest.mark.parametrize("steps", [5, 0, "many"])
def test_fewer_steps_than_done_are_refused(steps: object, copy: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"steps: found (5, fewer than the 8 steps that were made|0|'many')"
    ):
        changed_run(StoredRun.load(copy), steps, {})


def test_changes_are_saved_at_once_and_config_json_is_not_touched(copy: Path) -> None:
    before = (copy / "config.json").read_bytes()
    settings = {"optim.learning_rate": 1e-4, "optim.muon_learning_rate": 2e-4}
    with pytest.raises(KeyboardInterrupt):
        hornbook.resume(copy, steps=20, settings=settings, callbacks=[At(8, die)])
    position = read_position(copy)
    assert position["overrides"] == {"learning_rate": 1e-4, "muon_learning_rate": 2e-4}
    assert (position["step"], position["steps"]) == (8, 20)
    assert state_steps(copy)[-1] == 8
    rates: list[float] = []
    look = At(9, lambda trainer: rates.append(trainer.state.rate(9)))
    run = hornbook.resume(copy, callbacks=[look])
    assert run.report["steps"] == 20
    assert rates == [r["lr"] for r in run.log if r["step"] == 10]
    assert 0 < rates[0] <= 1e-4
    assert read_position(copy)["overrides"]["learning_rate"] == 1e-4
    assert (copy / "config.json").read_bytes() == before


def test_a_later_change_is_added_to_an_earlier_one(copy: Path) -> None:
    with pytest.raises(Interrupted):
        hornbook.resume(copy, settings={"optim.learning_rate": 1e-4}, callbacks=[At(9, stop)])
    found = changed_run(StoredRun.load(copy), None, {"optim": {"grad_clip": 0.5}})
    assert found.overrides == {"learning_rate": 1e-4, "grad_clip": 0.5}
    assert found.notes == ("optim.grad_clip is 0.5 from here on",)
    again = changed_run(StoredRun.load(copy), None, {})
    assert not again.changed
    assert again.config.optim.learning_rate == 1e-4


def test_another_torch_and_a_time_budget_that_is_over_are_noted(copy: Path) -> None:
    place = copy / "config.json"
    facts = json.loads(place.read_text())
    facts["versions"]["torch"] = "1.0"
    facts["config"]["training"]["minutes"] = 2.0
    place.write_text(json.dumps(facts))
    heard = Listen()
    hornbook.resume(copy, callbacks=[heard])
    assert heard.says("torch 1.0 before", "may not equal one without a stop bit for bit")
    assert heard.says("its time budget of 2 minutes is over: 12 steps in total")


@pytest.mark.parametrize("schedule", [[[5, 0.0, 12]], [[0, 0.0, 12], [9, 9.0, 3]]])
def test_a_schedule_that_cannot_be_is_damage(schedule: list[list[float]], copy: Path) -> None:
    place = copy / "config.json"
    place.write_text(json.dumps({**read_json(place), "schedule": schedule}))
    (copy / "last" / "state.json").unlink()
    for state in (copy / "last").glob("state-*"):
        state.unlink()
    with pytest.raises(RunError, match=r"damaged: found .* as its schedule"):
        changed_run(StoredRun.load(copy), None, {})


def test_what_a_stranger_overrides_is_refused_in_words(copy: Path) -> None:
    from tests.training.helpers import rewrite_position, states

    for state in states(copy):
        rewrite_position(state, overrides={"beta1": 0.1})
    with pytest.raises(HornbookError, match=r"state-.*overrides"):
        hornbook.resume(copy)
