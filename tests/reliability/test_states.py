"""The saved states of a run: which are kept, what is fallen back to, and what is gone on from."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

import hornbook
import hornbook.runs.directory as run_module
from hornbook.api import Run
from hornbook.errors import ConfigError, RunError
from hornbook.files import (
    read_json,
    read_lines,
    read_tensors,
    write_tensors,
)
from hornbook.training import loop
from hornbook.training.callbacks import Callback
from hornbook.training.loop import Interrupted, Loop
from tests.reliability.conftest import SETTINGS, At, Listen, interrupt, states, stop


def test_the_newest_state_and_the_one_before_are_kept(half: Path, copy: Path) -> None:
    assert [p.name[:14] for p in states(half)] == ["state-00000004", "state-00000008"]
    hornbook.resume(copy)
    assert [p.name[:14] for p in states(copy)] == ["state-00000008", "state-00000012"]
    pointer = read_json(copy / "last" / "state.json")
    assert {pointer["newest"], pointer["before"]} == {p.name for p in states(copy)}
    assert not [
        p for p in copy.rglob("*") if "partial" in p.name or p.name in ("lock", "lock.json")
    ]


@pytest.mark.parametrize("damage", ["flipped", "cut", "swapped", "gone", "pointer"])
def test_a_damaged_state_falls_back_to_the_one_before(damage: str, copy: Path) -> None:
    newest, heard = states(copy)[-1], Listen()
    raw = bytearray(newest.read_bytes())
    if damage == "flipped":
        raw[len(raw) // 2] ^= 1
        newest.write_bytes(raw)
    elif damage == "cut":
        newest.write_bytes(raw[:-1])
    elif damage == "swapped":
        shutil.copy(copy / "model.safetensors", newest)
    elif damage == "gone":
        newest.unlink()
    else:
        (copy / "last" / "state.json").write_text("{")
    run = hornbook.resume(copy, callbacks=[heard])
    assert run.report["steps"] == 12
    if damage != "pointer":
        assert any(
            newest.name in line and "Going on from the state before it, of update 4" in line
            for line in heard.heard
        )


def test_what_a_killed_process_was_writing_is_swept(
    corpus: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / ".model.safetensors.77.partial").write_bytes(b"half")
    hornbook.resume(copy)
    assert not list(copy.glob(".*.partial"))
    monkeypatch.setattr(run_module, "alive", lambda pid: pid == "78")
    for pid in (77, 78):
        (copy.parent / f".new.{pid}.partial").mkdir()
    hornbook.train(str(corpus), model="ngram", out=copy.parent / "new")
    assert [p.name for p in copy.parent.glob(".*.partial")] == [".new.78.partial"]


def test_two_damaged_states_are_refused_by_name(copy: Path) -> None:
    for state in states(copy):
        state.write_bytes(b"")
    with pytest.raises(RunError) as error:
        hornbook.resume(copy)
    assert all(state.name in str(error.value) for state in states(copy))


def test_a_pointer_of_the_future_is_refused(copy: Path) -> None:
    place = copy / "last" / "state.json"
    place.write_text(json.dumps({**read_json(place), "format": 3}))
    with pytest.raises(RunError, match=r"state\.json: found format 3, expected 2 or older"):
        hornbook.resume(copy)


def test_a_run_that_died_before_its_first_state_begins_again(corpus: Path, tmp_path: Path) -> None:
    whole = hornbook.train(str(corpus), out=tmp_path / "whole", settings=SETTINGS)
    out, heard = tmp_path / "cut", Listen()
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(2, interrupt)])
    run = hornbook.resume(out, callbacks=[heard])
    assert any("it begins again, to the same end" in line for line in heard.heard)
    expected, found = (read_tensors(r.path / "model.safetensors") for r in (whole, run))
    assert all(torch.equal(expected[name], found[name]) for name in expected | found)


def test_the_same_command_again_offers_to_go_on(corpus: Path, copy: Path) -> None:
    command = f"hornbook train --resume {copy}"
    with pytest.raises(ConfigError, match="gpt on words, 8 of 12 steps done; resume it") as error:
        hornbook.train(str(corpus), out=copy, settings=SETTINGS)
    assert f"\n  {command}\n" in str(error.value)
    hornbook.resume(copy)
    with pytest.raises(ConfigError, match="finished after 12 steps; resume it") as error:
        hornbook.train(str(corpus), out=copy, settings=SETTINGS)
    assert f"\n  {command} --steps 24\n" in str(error.value)


def test_more_steps_are_offered_as_what_they_are(corpus: Path, copy: Path) -> None:
    hornbook.resume(copy)
    with pytest.raises(Interrupted):
        hornbook.resume(copy, steps=24, callbacks=[At(16, stop)])
    with pytest.raises(ConfigError, match="17 of 24 steps done; resume it") as error:
        hornbook.train(str(corpus), out=copy, settings=SETTINGS)
    assert f"\n  hornbook train --resume {copy}\n" in str(error.value)
    assert not Run.load(copy).report


def test_without_a_pointer_the_files_say_how_far_it_is(corpus: Path, copy: Path) -> None:
    (copy / "last" / "state.json").write_text("{")
    with pytest.raises(ConfigError, match="8 of 12 steps done; resume it"):
        hornbook.train(str(corpus), out=copy, settings=SETTINGS)
    with pytest.raises(ConfigError, match="found 5, but 8 updates are done"):
        hornbook.resume(copy, steps=5)


@pytest.mark.parametrize("model", ["bigram", "gpt"])
def test_long_stretches_between_records_are_folded_to_sums(
    model: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"training": {**SETTINGS["training"], "steps": 14, "eval_count": 1}}
    settings |= {"model": SETTINGS["model"]} if model == "gpt" else {}
    monkeypatch.setattr(Loop, "logs", lambda _, step: step == 13)
    plain = hornbook.train(str(corpus), model=model, out=tmp_path / "p", settings=settings)
    monkeypatch.setattr(loop, "FOLDED", 4)
    whole = hornbook.train(str(corpus), model=model, out=tmp_path / "w", settings=settings)
    with pytest.raises(Interrupted):
        hornbook.train(
            str(corpus), model=model, out=tmp_path / "r", settings=settings, callbacks=[At(9, stop)]
        )
    (state,) = states(tmp_path / "r")
    kept = read_tensors(state)
    assert len(kept["pending"]) == 2
    assert kept["pending.folded"][0] == 8
    found = [[(r["step"], r["loss"], r["grad_norm"]) for r in run.log]
             for run in (plain, whole, hornbook.resume(tmp_path / "r"))]  # fmt: skip
    assert found[1] == found[2]
    assert [x for r in found[0] for x in r] == pytest.approx([x for r in found[1] for x in r])


@pytest.mark.parametrize("done", [10, 12])
def test_damaged_best_weights_are_told_and_replaced(
    done: int, corpus: Path, copy: Path, tmp_path: Path
) -> None:
    if done == 12:
        hornbook.resume(copy)
    (copy / "model.safetensors").write_bytes(b"")
    heard = Listen()
    run = hornbook.resume(copy, callbacks=[heard])
    assert any("model.safetensors: damaged" in x and "or else the last" in x for x in heard.heard)
    assert run.report["best_step"] in (8, 12)
    losses = {r["step"]: r["val_loss"] for r in run.log if "val_loss" in r}
    expected = losses[run.report["best_step"]]
    assert run.report["validation"]["nats"] == pytest.approx(expected, abs=1e-4)


def test_without_any_best_the_last_weights_are_kept(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "token_nats", lambda *_: torch.tensor([math.inf]))
    run = hornbook.train(str(corpus), out=tmp_path / "r", settings=SETTINGS)
    assert run.report["best_step"] == 12
    assert math.isfinite(run.report["validation"]["nats"])


def test_what_the_probes_saw_is_not_written_twice(corpus: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "training": {**SETTINGS["training"], "probe_every": 5}}
    whole = hornbook.train(str(corpus), out=tmp_path / "whole", settings=settings)
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(
            str(corpus), out=tmp_path / "r", settings=settings, callbacks=[At(10, interrupt)]
        )
    run = hornbook.resume(tmp_path / "r")
    expected, found = (read_lines(r.path / "probes.jsonl") for r in (whole, run))
    assert found == expected


def test_the_state_that_was_gone_on_from_is_kept_not_the_damaged_one(
    corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r"
    with pytest.raises(Interrupted):
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(5, stop)])
    with pytest.raises(KeyboardInterrupt):
        hornbook.resume(out, callbacks=[At(10, interrupt)])
    states(out)[-1].write_bytes(b"")
    with pytest.raises(Interrupted):
        hornbook.resume(out, callbacks=[At(6, stop)])
    assert [p.name[:14] for p in states(out)] == ["state-00000006", "state-00000007"]


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("pending", torch.zeros(1, 2, 3)),
        ("pending", torch.zeros(200, 2)),
        ("pending.folded", torch.tensor([-1.0, 0.0, 0.0])),
        ("pending.folded", torch.tensor([math.inf, math.inf, 0.0])),
        ("pending.folded", torch.zeros(2)),
    ],
)
def test_losses_that_no_state_can_hold_are_damage(copy: Path, name: str, tensor: Tensor) -> None:
    newest = states(copy)[-1]
    position = {}
    tensors = read_tensors(newest, lambda header: position.update(header.metadata))
    write_tensors(newest, {**tensors, name: tensor}, {"position": position["position"]})
    told = []

    class Listen(Callback):
        def told(self, message: str) -> None:
            told.append(message)

    hornbook.resume(copy, callbacks=[Listen()])
    assert any("losses since the last record that cannot be" in message for message in told)
