"""Faults, one by one, in the process itself; `benchmarks/reliability.py` does them from outside."""

from __future__ import annotations

import errno
import math
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import hornbook
from hornbook.api import Run
from hornbook.cli.main import main
from hornbook.config import OptimConfig
from hornbook.errors import ConfigError, DataError, RunError
from hornbook.files import (
    read_tensors,
)
from hornbook.models.registry import build_model, model_config
from hornbook.planning.memory import estimate
from hornbook.planning.plan import make_plan
from hornbook.runs.directory import saved_step
from hornbook.training.callbacks import Callback
from hornbook.training.faults import why_not_finite
from hornbook.training.loop import Interrupted
from tests.reliability.conftest import SETTINGS, At, overflow, states


def forked(work: Callable[[], int], output: int) -> int:
    """The process id of a child that says everything there, and exits with what `work` gives."""
    pid = os.fork()
    if not pid:
        code = 99
        try:
            os.dup2(output, 1), os.dup2(output, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
            code = work()
        finally:
            os._exit(code)
    return pid


@pytest.mark.skipif(os.name != "posix", reason="forks")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_saves_the_state_and_a_second_one_stops_at_once(
    number: int, times: int, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r"

    def signals(_: object) -> None:
        for _ in range(times):
            os.kill(os.getpid(), number)

    def work() -> int:
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(6, signals)])
        except KeyboardInterrupt as end:
            return 128 + getattr(end, "signal", signal.SIGINT)
        except SystemExit as end:
            return int(str(end.code))
        return 0

    sink = os.open(os.devnull, os.O_WRONLY)
    pid = forked(work, sink)
    os.close(sink)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 128 + number
    assert saved_step(out) == (7 if times == 1 else 4)  # after update 7; before, an evaluation


@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_without_a_reader_of_its_output_the_state_is_saved(corpus: Path, tmp_path: Path) -> None:
    out, (source, sink) = tmp_path / "r", os.pipe()
    line = f"train {corpus} --model bigram --steps 100000 --training.eval_count 1000 --out {out}"

    def work() -> int:
        os.close(source), os.close(sink)  # the other end is the parent's alone
        return main(line.split())

    pid = forked(work, sink)
    os.close(sink)
    said = b""
    while b"val_loss" not in said:
        said += os.read(source, 1000)
    os.close(source)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 141
    assert 0 < (saved_step(out) or 0) < 100_000
    assert saved_step(out) == Run.load(out).log[-1]["step"]


@pytest.mark.parametrize("where", ["weights", "loss"])
def test_a_loss_that_is_no_number_stops_before_its_update(
    where: str, corpus: Path, tmp_path: Path
) -> None:
    def poison(plan: Any) -> None:
        for parameter in plan.model.parameters():
            parameter.data.fill_(float("nan") if where == "weights" else 1e30)

    out = tmp_path / "r"
    with pytest.raises(RunError, match="no number any more: at update 7 it is") as error:
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(6, poison)])
    assert "expected finite ones" in str(error.value)
    assert "--optim.learning-rate" in str(error.value)
    assert error.value.exit_code == 1
    assert all(t.isfinite().all() for t in read_tensors(out / "model.safetensors").values())


def test_after_a_divergence_it_goes_on_with_a_lower_rate(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r"
    with pytest.raises(RunError, match=r"the state of update 4 is kept; go on with") as error:
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(6, overflow)])
    assert [p.name[:14] for p in states(out)] == ["state-00000004"]
    with pytest.raises(ConfigError, match=r"optim\.beta1: found it beside --resume"):
        hornbook.resume(out, settings={"optim.beta1": 0.5})
    printed = shlex.split(str(error.value).splitlines()[-1])
    assert printed[:4] == ["hornbook", "train", "--resume", str(out)]
    assert main(printed[1:]) == 0
    said = capsys.readouterr().err
    assert "optim.learning_rate is 0.002 from here on" in said
    assert "optim.muon_learning_rate is 0.005 from here on" in said
    assert Run.load(out).report["steps"] == 12


def test_a_state_that_diverges_by_itself_is_passed_over(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"

    class Late(At):  # right before the state of update 8 is saved
        def updated(self, step: int) -> None:
            if step == 7:
                overflow(self.plan)

    told = "the state of update 8 leads there whatever the rate, the state of update 4 is kept"
    with pytest.raises(RunError, match=told):
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[Late(99, overflow)])
    assert [p.name[:14] for p in states(out)] == ["state-00000004", "state-00000008"]
    assert hornbook.resume(out, settings={"optim.learning_rate": 1e-4}).report["steps"] == 12


def test_the_remedy_lowers_the_highest_rate_and_that_of_muon() -> None:
    optim = OptimConfig(name="muon", learning_rate=0.3, muon_learning_rate=0.06, warmup=100)
    model = build_model(model_config({"name": "bigram"}), 5, 0)
    _, flags = why_not_finite(model, math.nan, 1.0, [2.0], 0.003, optim)
    assert flags == "--optim.learning-rate 0.1 --optim.muon-learning-rate 0.02"


def test_a_corpus_that_changed_or_is_gone_is_told(
    half: Path, copy: Path, corpus: Path, tmp_path: Path
) -> None:
    text = corpus.read_text()
    try:
        corpus.write_text(text.replace("bako", "baka"))
        with pytest.raises(DataError, match=r"has changed since .*\(sha256 .*, was "):
            hornbook.resume(copy)
        corpus.unlink()
        with pytest.raises(DataError, match=r"no such file.*This run was trained on it"):
            hornbook.resume(copy)
    finally:
        corpus.write_text(text)
    assert hornbook.resume(copy).report["steps"] == 12


def test_memory_is_estimated_before_anything_is_written(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hornbook.planning.memory.available_memory", lambda: 12_000_000)
    with pytest.raises(ConfigError, match=r"memory: training needs at least .*found 12.0 MB avail"):
        hornbook.train(
            str(corpus),
            out=tmp_path / "r",
            settings={
                **SETTINGS,
                "training": {"batch_size": 60, "steps": 5},
                "model": {"n_layer": 4},
            },
        )
    with pytest.raises(ConfigError, match=r"weights, gradients and the optimizer need .* found 12"):
        hornbook.train(
            str(corpus), out=tmp_path / "r", settings={"model": {"n_embd": 4096, "n_head": 64}}
        )
    assert not list(tmp_path.iterdir())


def test_the_estimate_of_activations_grows_with_the_batch(corpus: Path) -> None:
    small, large = (
        estimate(make_plan(str(corpus), settings={**SETTINGS, "training": {"batch_size": n}}))
        for n in (4, 16)
    )
    assert small.weights == large.weights
    assert 3 < large.activations / small.activations < 4.5


def test_running_out_of_memory_says_what_to_lower(corpus: Path, tmp_path: Path) -> None:
    def exhaust(_: object) -> None:
        torch.empty(1 << 60, dtype=torch.uint8)

    with pytest.raises(
        RunError, match=r"no memory left at update 6.*--training.batch-size \(now 8"
    ):
        hornbook.train(
            str(corpus), out=tmp_path / "r", settings=SETTINGS, callbacks=[At(5, exhaust)]
        )


def test_a_disk_without_room_is_told_before(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(RunError, match=r"needs .* of disk, found 1\.0 kB free"):
        hornbook.train(str(corpus), out=tmp_path / "r", settings=SETTINGS)


def test_the_report_says_what_is_bitwise_equal(corpus: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "training": {**SETTINGS["training"], "deterministic": True}}
    run = hornbook.train(str(corpus), out=tmp_path / "r", settings=settings)
    assert run.report["determinism"].startswith("bitwise on this machine, with torch")
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_full_disk_under_the_output_stops_training_with_its_state_saved(copy: Path) -> None:
    class Full(Callback):
        def logged(self, record: dict[str, Any]) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    before = states(copy)[-1].name
    with pytest.raises(Interrupted, match="its state is saved"):
        hornbook.resume(copy, callbacks=[Full()])
    assert states(copy)[-1].name > before
