"""Faults, one by one, in the process itself; `benchmarks/reliability.py` does them from outside."""

from __future__ import annotations

import errno
import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import hornbook
import hornbook.run as run_module
from hornbook import files
from hornbook.cli.main import main
from hornbook.config import OptimConfig
from hornbook.errors import ConfigError, DataError, RunError
from hornbook.files import (
    Header,
    read_json,
    read_lines,
    read_tensors,
    write_lines,
    write_tensors,
)
from hornbook.models import mixture
from hornbook.models.registry import MODELS, build_model, model_config, outline
from hornbook.run import Run, saved_step
from hornbook.training import Callback, Interrupted, loop, report
from hornbook.training.faults import why_not_finite
from hornbook.training.lock import Lock
from hornbook.training.loop import Loop
from hornbook.training.memory import estimate
from hornbook.training.plan import make_plan

SETTINGS: dict[str, Any] = {
    "model": {"n_layer": 1, "n_head": 2, "n_kv_head": 2, "n_embd": 8, "n_hidden": 8},
    "training": {"steps": 12, "batch_size": 8, "evaluations": 3, "samplings": 0},
}


class At(Callback):
    """Does something right before an update."""

    def __init__(self, step: int, do: Callable[[Any], object]) -> None:
        self.step, self.do = step, do

    def planned(self, plan: Any) -> None:
        self.plan = plan

    def updating(self, step: int) -> None:
        if step == self.step:
            self.do(self.plan)


class Listen(Callback):
    """Keeps what was told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def planned(self, plan: Any) -> None:
        self.heard += [how for _, how in plan.lines()]

    def told(self, message: str) -> None:
        self.heard.append(message)


def overflow(plan: Any) -> None:
    """Weights that are numbers, and give a loss that is none."""
    for parameter in plan.model.parameters():
        parameter.data.fill_(1e30)


def stop(_: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def interrupt(_: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "words.txt"
    parts = ["ba", "ko", "mi", "tu", "re", "la"]
    path.write_text("\n".join(a + b + c for a in parts for b in parts for c in parts))
    return path


@pytest.fixture(scope="module")
def half(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that died in update 10, with states of updates 4 and 8."""
    out = tmp_path_factory.mktemp("half") / "run"
    with pytest.raises(KeyboardInterrupt):
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(10, interrupt)])
    return out


@pytest.fixture
def copy(half: Path, tmp_path: Path) -> Path:
    return shutil.copytree(half, tmp_path / "run")


def read(path: Path) -> None:
    run = Run.load(path)
    _ = run.log, run.report, run.model


def states(path: Path) -> list[Path]:
    return sorted((path / "last").glob("state-*.safetensors"))


def test_the_newest_state_and_the_one_before_are_kept(half: Path, copy: Path) -> None:
    assert [p.name[:14] for p in states(half)] == ["state-00000004", "state-00000008"]
    hornbook.resume(copy)
    assert [p.name[:14] for p in states(copy)] == ["state-00000008", "state-00000012"]
    pointer = read_json(copy / "last" / "state.json")
    assert {pointer["newest"], pointer["before"]} == {p.name for p in states(copy)}
    assert not [p for p in copy.rglob("*") if "partial" in p.name or p.name == "lock"]


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


def test_a_mixture_of_too_many_layers_is_refused_before_it_is_built(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = read_json(copy / "config.json")
    components = [{**facts["config"]["model"], "n_layer": 512}] * 3
    facts["config"]["model"] = {
        "name": "mixture", "components": components, "weights": [0.25, 0.25, 0.5]
    }  # fmt: skip
    (copy / "config.json").write_text(json.dumps(facts))
    monkeypatch.setattr(mixture, "build_model", lambda *_: pytest.fail("built"))
    with pytest.raises(RunError, match="found 1,536 layers in all, expected at most 1,024"):
        _ = Run.load(copy).model


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
    with pytest.raises(ConfigError, match="gpt on words, 8 of 12 updates done; go on") as error:
        hornbook.train(str(corpus), out=copy, settings=SETTINGS)
    assert f"\n  {command}\n" in str(error.value)
    hornbook.resume(copy)
    with pytest.raises(ConfigError, match="finished after 12 updates; go on") as error:
        hornbook.train(str(corpus), out=copy, settings=SETTINGS)
    assert f"\n  {command} --steps 24\n" in str(error.value)


def test_more_steps_are_offered_as_what_they_are(corpus: Path, copy: Path) -> None:
    hornbook.resume(copy)
    with pytest.raises(Interrupted):
        hornbook.resume(copy, steps=24, callbacks=[At(16, stop)])
    with pytest.raises(ConfigError, match="17 of 24 updates done; go on with it") as error:
        hornbook.train(str(corpus), out=copy, settings=SETTINGS)
    assert f"\n  hornbook train --resume {copy}\n" in str(error.value)
    assert not Run.load(copy).report


def test_without_a_pointer_the_files_say_how_far_it_is(corpus: Path, copy: Path) -> None:
    (copy / "last" / "state.json").write_text("{")
    with pytest.raises(ConfigError, match="8 of 12 updates done; go on with it"):
        hornbook.train(str(corpus), out=copy, settings=SETTINGS)
    with pytest.raises(ConfigError, match="found 5, but 8 updates are done"):
        hornbook.resume(copy, steps=5)


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
    line = f"train {corpus} --model bigram --steps 100000 --training.evaluations 1000 --out {out}"

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


def test_the_second_process_is_refused_and_told_who_the_first_is(copy: Path) -> None:
    program = (
        "import sys, hornbook\n"
        "from hornbook.training.lock import Lock\n"
        "from pathlib import Path\n"
        f"with Lock(Path({str(copy)!r})):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdin is not None
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    with pytest.raises(RunError, match=rf"process {first.pid} on .*since 20.* is training it"):
        hornbook.resume(copy)
    first.kill()
    first.wait()
    first.stdin.close()
    first.stdout.close()
    heard = Listen()
    assert hornbook.resume(copy, callbacks=[heard]).report["steps"] == 12
    assert any(f"process {first.pid} on" in line and "was killed" in line for line in heard.heard)


def test_a_lock_of_another_boot_is_stale(copy: Path) -> None:
    (copy / "lock").write_text('{"pid": 1, "host": "elsewhere", "boot": "x", "since": "then"}')
    with Lock(copy) as lock:
        assert (
            lock.stale == "process 1 on elsewhere (since then) was killed while it trained this run"
        )
        assert read_json(copy / "lock")["pid"] == os.getpid()
    assert not (copy / "lock").exists()


def test_a_run_that_is_moved_goes_on_where_it_is_now(corpus: Path, tmp_path: Path) -> None:
    out, there, heard = tmp_path / "here", tmp_path / "there", Listen()

    def move(_: object) -> None:
        out.rename(there)
        out.mkdir()  # somebody else's

    run = hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(6, move), heard])
    assert run.path == there
    assert run.report["steps"] == 12
    assert not list(out.iterdir())
    assert any(f"was moved to {there}" in line for line in heard.heard)
    assert [r["step"] for r in run.log] == list(range(1, 13))


@pytest.mark.parametrize("model", ["bigram", "ngram"])
def test_a_run_that_is_moved_while_the_report_is_made_gets_it(
    model: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, there, plain = tmp_path / "here", tmp_path / "there", report.assess

    def moved(*args: Any) -> Any:
        out.rename(there)
        out.mkdir()  # somebody else's
        return plain(*args)

    monkeypatch.setattr(report, "assess", moved)
    settings = {"training": SETTINGS["training"]} if model == "bigram" else {}
    run = hornbook.train(str(corpus), model=model, out=out, settings=settings)
    assert run.path == there
    assert run.report["samples"]
    assert not list(out.iterdir())


def test_a_run_that_is_moved_gets_the_early_looks_at_copies(corpus: Path, tmp_path: Path) -> None:
    out, there = tmp_path / "here", tmp_path / "there"

    def move(_: object) -> None:
        out.rename(there)
        out.mkdir()  # somebody else's

    training = {**SETTINGS["training"], "steps": 20, "evaluations": 1, "probe_every": 100}
    settings = {**SETTINGS, "training": training}
    hornbook.train(str(corpus), out=out, settings=settings, callbacks=[At(7, move)])
    assert not list(out.iterdir())
    seen = [(r["kind"], r["step"]) for r in read_lines(there / "probes.jsonl")]
    assert seen == [("probe", 1), ("novelty", 8), ("novelty", 16), ("probe", 20), ("novelty", 20)]


@pytest.mark.parametrize("model", ["bigram", "gpt"])
def test_long_stretches_between_records_are_folded_to_sums(
    model: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"training": {**SETTINGS["training"], "steps": 14, "evaluations": 1}}
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


def test_a_run_that_is_removed_says_so(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    with pytest.raises(RunError, match="was removed or moved to another disk"):
        hornbook.train(
            str(corpus),
            out=out,
            settings=SETTINGS,
            callbacks=[At(6, lambda _: shutil.rmtree(out))],
        )


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
    monkeypatch.setattr("hornbook.training.memory.available_memory", lambda: 12_000_000)
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


def test_links_and_pipes_are_refused(copy: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    for name in ("config.json", "tokenizer.json", "model.safetensors", "report.json", "log.jsonl"):
        place = copy / name
        if place.exists():
            place.rename(secret)
        place.symlink_to(secret)
        with pytest.raises(RunError, match=rf"{name}: is a link"):
            read(copy)
        place.unlink()
        os.mkfifo(place)
        with pytest.raises(RunError, match=rf"{name}: is no plain file|found no config.json"):
            read(copy)
        place.unlink()
        if secret.exists():
            secret.rename(place)
    (copy / "last").rename(tmp_path / "elsewhere")
    (copy / "last").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="last: is a link"):
        hornbook.resume(copy)


def test_a_run_of_format_1_is_read_and_gone_on_with(copy: Path) -> None:
    facts = read_json(copy / "config.json")
    del facts["hardware"]["threads"]
    (copy / "config.json").write_text(json.dumps({**facts, "format": 1}))
    from safetensors import safe_open
    from safetensors.torch import save_file

    newest = states(copy)[-1]
    with safe_open(newest, "pt") as file:
        position = json.loads(file.metadata()["position"])
    tensors = read_tensors(newest)
    shutil.rmtree(copy / "last")
    (copy / "last").mkdir()
    save_file(tensors, copy / "last" / "state-00000008.safetensors")
    (copy / "last" / "state.json").write_text(
        json.dumps({"file": "state-00000008.safetensors", **position})
    )
    run = hornbook.resume(copy)
    assert run.report["steps"] == 12
    assert read_json(copy / "config.json")["format"] == 2


def test_tensors_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"a": torch.zeros(3), "b": torch.ones(2, 2, dtype=torch.bfloat16)})
    seen: list[Header] = []

    def refuse(header: Header) -> None:
        seen.append(header)
        raise RunError("not these")

    with pytest.raises(RunError, match=r"x\.safetensors: not these"):
        read_tensors(path, refuse)
    assert {n: (t.device.type, tuple(t.shape)) for n, t in seen[0].tensors.items()} == {
        "a": ("meta", (3,)),
        "b": ("meta", (2, 2)),
    }
    from safetensors.torch import load_file

    for name, tensor in load_file(path).items():
        assert torch.equal(tensor, read_tensors(path)[name])
    huge = '{"a":{"dtype":"F32","shape":[250000000000],"data_offsets":[0,1000000000000]}}'
    path.write_bytes(len(huge).to_bytes(8, "little") + huge.encode() + bytes(64))
    with pytest.raises(RunError, match=r"damaged: found 149 B, expected 1\.0 TB"):
        read_tensors(path)


def test_the_outline_of_a_model_has_its_names_and_takes_nothing(model_name: str) -> None:
    fields = MODELS[model_name].load(MODELS[model_name].config).model_fields
    sizes = {k: v for k, v in {"n_embd": 8, "n_head": 2, "n_kv_head": 2}.items() if k in fields}
    config = model_config({"name": model_name, **sizes})
    torch.manual_seed(1)
    generator = torch.get_rng_state()
    shadow = outline(config, 11, 0)
    assert torch.equal(generator, torch.get_rng_state())
    real = build_model(config, 11, 0)
    assert {n: t.shape for n, t in shadow.state_dict().items()} == {
        n: t.shape for n, t in real.state_dict().items()
    }
    assert all(t.is_meta for t in shadow.state_dict().values())
    shadow.check_weights(real.state_dict())


def test_the_report_says_what_is_bitwise_equal(corpus: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "training": {**SETTINGS["training"], "deterministic": True}}
    run = hornbook.train(str(corpus), out=tmp_path / "r", settings=settings)
    assert run.report["determinism"].startswith("bitwise on this machine, with torch")
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_garbled_line_of_the_log_costs_what_follows_it_not_the_run(
    half: Path, copy: Path
) -> None:
    log, heard = copy / "log.jsonl", Listen()
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:5], b'{"step": \0\n', *lines[6:]]))
    run = hornbook.resume(copy, callbacks=[heard])
    assert [r["step"] for r in run.log] == [1, 2, 3, 4, 5, 8, 9, 10, 11, 12]
    assert any("log.jsonl: damaged" in x and "last 2 records are gone" in x for x in heard.heard)


def test_losses_that_were_written_are_read_again(corpus: Path, tmp_path: Path) -> None:
    settings = {
        "training": {"steps": 8, "batch_size": 8, "evaluations": 2, "samplings": 0},
        "optim": {"name": "sgd", "learning_rate": 1e35, "grad_clip": 0.0},
    }
    run = hornbook.train(str(corpus), model="bigram", out=tmp_path / "r", settings=settings)
    assert max(r["loss"] for r in run.log) > 1e30


def test_a_log_of_many_lines_is_bounded_by_the_line_not_by_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "probes.jsonl"
    write_lines(place, [{"step": i, "kind": "x" * 50} for i in range(5)])
    monkeypatch.setattr(files, "LARGEST_JSON", 100)
    assert [r["step"] for r in read_lines(place)] == list(range(5))
    with place.open("a") as file:
        file.write(f'{{"a": "{"x" * 100}"}}\n')
    with pytest.raises(RunError, match=r"found a line of more than 100 B"):
        read_lines(place)
    monkeypatch.setattr(files, "available_memory", lambda: 1000)
    with pytest.raises(RunError, match=r"found 480 B, which may need 15\.4 kB of memory"):
        read_lines(place)


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


def test_a_full_disk_under_the_output_stops_training_with_its_state_saved(copy: Path) -> None:
    class Full(Callback):
        def logged(self, record: dict[str, Any]) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    before = states(copy)[-1].name
    with pytest.raises(Interrupted, match="its state is saved"):
        hornbook.resume(copy, callbacks=[Full()])
    assert states(copy)[-1].name > before


def test_a_garbled_line_of_probes_costs_what_follows_it(tmp_path: Path) -> None:
    run = hornbook.train("names", model="bigram", out=tmp_path / "run", settings={
        "training.steps": 4, "training.probe_every": 1, "training.evaluations": 1,
        "training.samplings": 0, "training.batch_size": 8,
    })  # fmt: skip
    place = run.path / "probes.jsonl"
    first, *_ = place.read_bytes().splitlines()
    place.write_bytes(first + b"\n{garbled\n" + first + b"\n")
    told = []

    class Listen(Callback):
        def told(self, message: str) -> None:
            told.append(message)

    hornbook.resume(run.path, steps=6, callbacks=[Listen()])
    assert any("probes.jsonl" in message for message in told)
    steps = [json.loads(line)["step"] for line in place.read_text().splitlines()]
    assert steps[0] == 1
    assert set(steps) >= {1, 5, 6}
