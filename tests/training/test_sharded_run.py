"""Runs whose weights are sharded: ordinary runs, which any number of ranks goes on with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import hornbook
from hornbook.config import merge
from hornbook.figures.copies import last_model
from hornbook.files import read_json
from hornbook.parallel.states import first_file, shard_files
from hornbook.runs.directory import StoredRun
from tests.parallel.helpers import on_ranks
from tests.parallel.work import resume, train
from tests.training.together import figures, records, settings

SHARDED = settings("fsdp")


@pytest.fixture(scope="module")
def pair(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that two ranks have trained."""
    out = tmp_path_factory.mktemp("sharded") / "run"
    assert on_ranks(2, train, str(corpus), str(out), SHARDED) == [str(out)] * 2
    return out


def test_it_is_an_ordinary_run(pair: Path) -> None:
    run = hornbook.load(pair)
    assert run.report["steps"] == 12
    assert run.facts["hardware"]["parallel"] == "fsdp"
    assert len(run.sample(3)) == 3
    assert len(list((pair / "last").glob("state-*.safetensors"))) == 4  # two states of two shards
    newest = next(StoredRun.load(pair).path.glob("last/state-00000012-*"))
    assert len(shard_files(first_file(newest))) == 2
    loaded = last_model(StoredRun.load(pair))
    assert loaded is None or loaded.n_parameters == run.model.n_parameters


def test_without_dropout_its_losses_are_those_of_one_process(corpus: Path, tmp_path: Path) -> None:
    """From the first weights on, which no process has ever had as a whole."""
    plain = merge(settings("fsdp", steps=4), {"model": {"dropout": 0.0}})
    on_ranks(2, train, str(corpus), str(tmp_path / "two"), plain)
    hornbook.train(str(corpus), out=tmp_path / "one", settings=plain)
    for name in ("val_loss", "train_loss", "loss", "grad_norm"):
        two, one = (figures(tmp_path / run, name) for run in ("two", "one"))
        assert two == pytest.approx(one, rel=1e-4)


def test_a_stopped_run_goes_on_to_the_same_end_bit_for_bit(
    pair: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    ended = on_ranks(2, train, str(corpus), str(out), SHARDED, 5)
    assert [end.kind for end in ended] == ["Interrupted"] * 2
    on_ranks(2, train, str(corpus), str(out), SHARDED)
    assert records(out) == records(pair)
    weights = [(path / "model.safetensors").read_bytes() for path in (out, pair)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("world_size", [1, 3])
def test_another_number_of_ranks_goes_on(pair: Path, world_size: int, tmp_path: Path) -> None:
    out = Path(shutil.copytree(pair, tmp_path / "run"))
    if world_size == 1:
        hornbook.resume(out, steps=18)
    else:
        on_ranks(world_size, resume, str(out), 18)
    run = hornbook.load(out)
    assert run.report["steps"] == 18
    assert run.report["validation"]["nats"] < hornbook.load(pair).report["validation"]["nats"]
    if world_size == 3:
        newest = read_json(out / "last" / "state.json")["newest"]
        assert newest.endswith(".0-of-3.safetensors")


def test_a_damaged_shard_is_named_and_the_state_before_it_used(pair: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(pair, tmp_path / "run"))
    newest = shard_files(out / "last" / read_json(out / "last" / "state.json")["newest"])
    newest[1].write_bytes(newest[1].read_bytes()[:-5])
    messages: list[str] = []

    class Listener(hornbook.Callback):
        def on_message(self, message: str) -> None:
            messages.append(message)

    hornbook.resume(out, steps=14, callbacks=[Listener()])
    assert any(newest[1].name in message and "damaged" in message for message in messages)
    assert hornbook.load(out).report["steps"] == 14
