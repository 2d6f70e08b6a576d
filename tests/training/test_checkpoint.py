"""The saved states of a run: which are kept, what is fallen back to, and what is read of them."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

import hornbook
from hornbook.errors import ConfigError, RunError
from hornbook.files import read_json, read_tensors, write_tensors
from hornbook.training.checkpoint import has_state, read_position
from hornbook.training.interrupts import Interrupted
from tests.training.helpers import (
    SETTINGS,
    After,
    At,
    Listen,
    die,
    small,
    state_steps,
    states,
    stop,
)


def test_the_newest_state_and_the_one_before_are_kept(half: Path, copy: Path) -> None:
    assert state_steps(half) == [4, 8]
    hornbook.resume(copy)
    assert state_steps(copy) == [8, 12]
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
    assert read_position(copy)["step"] == (8 if damage == "pointer" else 4)
    run = hornbook.resume(copy, callbacks=[heard])
    assert run.report["steps"] == 12
    if damage != "pointer":
        assert heard.says(newest.name, "Resuming from the state before it, of step 4")


def test_two_damaged_states_are_refused_by_name(copy: Path) -> None:
    for state in states(copy):
        state.write_bytes(b"")
    assert read_position(copy) == {}
    with pytest.raises(RunError) as error:
        hornbook.resume(copy)
    assert all(state.name in str(error.value) for state in states(copy))


def test_a_pointer_of_the_future_is_refused(copy: Path) -> None:
    place = copy / "last" / "state.json"
    place.write_text(json.dumps({**read_json(place), "format": 3}))
    with pytest.raises(RunError, match=r"state\.json: found format 3, expected 2 or older"):
        hornbook.resume(copy)


def test_a_link_in_place_of_the_states_is_not_followed(copy: Path, tmp_path: Path) -> None:
    (copy / "last").rename(tmp_path / "elsewhere")
    (copy / "last").symlink_to(tmp_path / "elsewhere")
    assert read_position(copy) == {}
    with pytest.raises(RunError, match="last: is a link"):
        hornbook.resume(copy)


@pytest.mark.parametrize("finished", [False, True])
def test_states_without_their_pointer_are_found(
    finished: bool, corpus: Path, tmp_path: Path
) -> None:
    out, heard = tmp_path / "r", Listen()
    callbacks = [] if finished else [After(3, stop)]
    arguments = {"model": "bigram", "out": out, "settings": small("bigram")}
    try:
        hornbook.train(str(corpus), callbacks=callbacks, **arguments)
    except Interrupted:
        assert not finished
    (out / "last" / "state.json").write_text("{")
    assert has_state(out)
    assert hornbook.resume(out, steps=20, callbacks=[heard]).report["steps"] == 20
    assert not heard.says("begins again")


def test_without_a_pointer_the_files_say_how_far_it_is(corpus: Path, copy: Path) -> None:
    (copy / "last" / "state.json").write_text("{")
    with pytest.raises(ConfigError, match=r"8 of 12 \w+ done"):
        hornbook.train(str(corpus), out=copy, settings=SETTINGS)
    with pytest.raises(ConfigError, match="found 5, fewer than the 8 steps that were made"):
        hornbook.resume(copy, steps=5)


def test_another_total_is_in_the_pointer_and_offered(corpus: Path, copy: Path) -> None:
    hornbook.resume(copy)
    with pytest.raises(Interrupted):
        hornbook.resume(copy, steps=24, callbacks=[At(16, stop)])
    assert read_json(copy / "last" / "state.json")["total_steps"] == 24
    with pytest.raises(ConfigError, match=r"17 of 24 \w+ done") as error:
        hornbook.train(str(corpus), out=copy, settings=SETTINGS)
    assert f"\n  hornbook.resume({str(copy)!r})\n" in str(error.value)
    assert not hornbook.load(copy).report


def test_the_state_that_was_resumed_from_is_kept_not_the_damaged_one(
    corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r"
    with pytest.raises(Interrupted):
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(5, stop)])
    with pytest.raises(KeyboardInterrupt):
        hornbook.resume(out, callbacks=[At(10, die)])
    states(out)[-1].write_bytes(b"")
    with pytest.raises(Interrupted):
        hornbook.resume(out, callbacks=[At(6, stop)])
    assert state_steps(out) == [6, 7]


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
    newest, heard = states(copy)[-1], Listen()
    position: dict[str, str] = {}
    tensors = read_tensors(newest, lambda header: position.update(header.metadata))
    write_tensors(newest, {**tensors, name: tensor}, {"position": position["position"]})
    hornbook.resume(copy, callbacks=[heard])
    assert heard.says("losses since the last record that cannot be")


def test_a_state_of_format_1_is_read(copy: Path) -> None:
    """One file without a checksum, its position in the pointer."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    newest = states(copy)[-1]
    with safe_open(newest, "pt") as file:
        position = json.loads(file.metadata()["position"])
    tensors = read_tensors(newest)
    shutil.rmtree(copy / "last")
    (copy / "last").mkdir()
    save_file(tensors, copy / "last" / "state-00000008.safetensors")
    kept = {key: position[key] for key in ("step", "tokens", "seconds", "records", "watch")}
    (copy / "last" / "state.json").write_text(
        json.dumps({"file": "state-00000008.safetensors", **kept})
    )
    assert hornbook.resume(copy).report["steps"] == 12
