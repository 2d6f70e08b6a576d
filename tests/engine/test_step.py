"""The step: fast ways of doing the same as the plain one, and weights averaged along the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from hornbook.engine.replay import Replay
from torch import Tensor

from hornbook.api import train
from hornbook.config import merge
from hornbook.engine.compiled import choose_form, compiler, pays_from
from hornbook.engine.step import TrainStep, clip
from hornbook.kernels import graph as recording
from hornbook.layers.residual import ResidualDropout
from hornbook.metrics.loss import batch_loss
from hornbook.planning.plan import Plan, make_plan
from tests.conftest import TINY_GPT

MLP = {
    "model": {"name": "mlp", "n_hidden": 20, "norm": "batchnorm", "dropout": 0.0},
    "optim": {"name": "sgd", "learning_rate": 0.1, "schedule": "constant", "grad_clip": 0.0},
    "training": {"steps": 40, "batch_size": 16, "sampling": "random", "eval_count": 2},
}
CPU = torch.device("cpu")


def step_of(plan: Plan) -> TrainStep:
    plan.model.train()
    return TrainStep(plan.model, plan.batches, plan.config, "fp32", plan.compiled)


@pytest.mark.parametrize("limit", [0.0, 0.5, 1e6])
def test_clipping_is_torchs(limit: float) -> None:
    torch.manual_seed(0)
    ours = [torch.randn(4, 3).requires_grad_(), torch.randn(7).requires_grad_()]
    theirs = [p.detach().clone().requires_grad_() for p in ours]
    for a, b in zip(ours, theirs, strict=True):
        a.grad = torch.randn_like(a)
        b.grad = a.grad.clone()
    expected = torch.nn.utils.clip_grad_norm_(theirs, limit or float("inf"))
    torch.testing.assert_close(clip(ours, limit), expected)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize("name", ["adamw", "muon", "sgd"])
def test_the_fast_step_follows_the_plain_one(name: str) -> None:
    """Without dropout, whose masks are other ones, losses are equal but for rounding."""
    losses = []
    for plain in (False, True):
        settings = merge(
            TINY_GPT,
            {"optim": {"name": name, "learning_rate": 0.01}, "training": {"reference": plain}},
            {"model": {"dropout": 0.0}},
        )
        step = step_of(make_plan("names", settings=settings))
        losses.append(torch.stack([step(i)[0] for i in range(20)]))
    torch.testing.assert_close(*losses, atol=1e-4, rtol=0)
    assert losses[0][-1] < losses[0][0] - 0.001


def test_plain_draws_dropout_as_torch_does() -> None:
    plan = make_plan("names", settings=merge(TINY_GPT, {"training": {"reference": True}}))
    step_of(plan)
    assert (plan.precision, plan.compiled) == ("fp32", "no")
    assert any(type(m) is ResidualDropout for m in plan.model.modules())
    assert not any(type(m).__module__.startswith("hornbook.kernels") for m in plan.model.modules())


def test_compiling_has_to_pay_back() -> None:
    enough = pays_from("updates")
    assert choose_form("updates", "no", 10 * enough, CPU)[0] == "no"
    if compiler(CPU):
        assert choose_form("updates", "auto", 1.01 * enough, CPU)[0] == "updates"
        assert choose_form("loss", "auto", 1e9, CPU)[0] == "no"
        assert choose_form("loss", "yes", 0.0, CPU)[0] == "loss"
    form, why = choose_form("updates", "auto", 0.5 * enough, CPU)
    assert form == "no"
    assert "pays back" in why or "compiler" in why


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert choose_form("updates", "yes", 1e9, CPU) == ("no", "found no C++ compiler")


def test_a_loss_that_cannot_be_compiled_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(device: torch.device) -> NoReturn:
        raise torch.OutOfMemoryError("no room for graphs")

    monkeypatch.setattr(
        "hornbook.planning.trials.choose_form", lambda *_: ("loss", "it would save")
    )
    monkeypatch.setattr("hornbook.engine.step.compiled_loss", failing)
    plan = make_plan("names", settings=TINY_GPT)
    assert (plan.compiled, plan.why_compiled) == ("no", "it failed here: OutOfMemoryError")


def test_losses_outlast_the_memory_of_a_replayed_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Tensor] = []

    def overwriting(*arguments: Any) -> Tensor:
        for loss in given:
            loss.data.fill_(float("nan"))
        given.append(batch_loss(*arguments))
        return given[-1]

    monkeypatch.setattr("hornbook.engine.step.compiled_loss", lambda device: overwriting)
    plan = make_plan("names", settings=TINY_GPT)
    plan.compiled = "loss"
    step = step_of(plan)
    losses = torch.stack([step(i)[0] for i in range(3)])
    assert losses.isfinite().all()


@pytest.mark.skipif(not compiler(CPU), reason="compiling needs a C++ compiler")
def test_compiled_updates_are_the_same_but_for_rounding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in (
        "engine.replay",
        "engine.step",
        "planning.plan",
    ):  # eight take twice as long to compile
        monkeypatch.setattr(f"hornbook.{module}.SPAN", 2)
    compiled = []
    compile_trace = recording.compile_trace

    def counting(*arguments: Any) -> Any:
        compiled.append(compile_trace(*arguments))
        return compiled[-1]

    monkeypatch.setattr("hornbook.engine.replay.compile_trace", counting)
    monkeypatch.setattr("hornbook.training.loop.RECORDS", 5)
    runs = []
    for wanted in ("yes", "no"):
        settings = merge(MLP, {"optim": {"l2": 0.01}, "training": {"compile": wanted}})
        runs.append(train("names", out=tmp_path / wanted, settings=settings))
    assert len(compiled) == 2  # the plan's trial, and the run
    assert runs[0].facts["hardware"]["compiled"] == "updates"
    assert "compiled" in runs[0].report["determinism"]
    for a, b in zip(runs[0].log, runs[1].log, strict=True):
        for key in ("step", "tokens", "lr"):
            assert a[key] == b[key]
        for key in ("loss", "grad_norm"):
            assert a[key] == pytest.approx(b[key], abs=1e-5)
    for ours, theirs in zip(
        runs[0].model.state_dict().values(), runs[1].model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_updates_that_cannot_be_compiled_are_made_one_by_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def failing(*_: Any) -> NoReturn:
        raise RuntimeError("no compiler")

    monkeypatch.setattr("hornbook.engine.replay.compile_trace", failing)
    monkeypatch.setattr("hornbook.training.loop.RECORDS", 5)
    monkeypatch.setattr("hornbook.engine.compiled.compiler", lambda device: True)
    monkeypatch.setattr("hornbook.planning.trials.choose_form", lambda *_: ("updates", "it saves"))
    plan = make_plan("names", settings=MLP)
    assert (plan.compiled, plan.why_compiled) == ("no", "it failed here: RuntimeError")
    told = make_plan("names", settings=merge(MLP, {"training": {"compile": "yes"}}))
    assert (told.compiled, told.why_compiled) == (plan.compiled, plan.why_compiled)
    monkeypatch.setattr("hornbook.planning.trials._compare_compiled", lambda *_, **__: None)
    run = train("names", out=tmp_path / "run", settings=MLP)
    assert (run.facts["hardware"]["compiled"], run.log[-1]["step"]) == ("updates", 40)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("largest", "pythons", "threads"), [(1e12, 1, 1), (1e12, 2, 2), (0.0, 1, 2)]
)
def test_the_smallest_updates_are_made_by_one_thread(
    largest: float, pythons: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("threading.active_count", lambda: pythons)
    monkeypatch.setattr("hornbook.engine.replay.ALONE", largest)
    seen = set()

    def watched(*arguments: Any) -> Tensor:
        seen.add(torch.get_num_threads())
        return batch_loss(*arguments)

    monkeypatch.setattr("hornbook.engine.step.batch_loss", watched)
    plan = make_plan("names", settings=MLP)
    step = step_of(plan)
    seen.clear()  # what the plan tried
    step(0, watched=True)
    assert torch.get_num_threads() == 2
    assert seen == {threads}
    seen.clear()
    step.gradients(1, "bf16")  # as a whole run in bf16 would
    assert seen == {2}
    assert any(what == "threads" for what, _ in plan.lines()) == (largest > 0)


def test_updates_that_end_in_no_number_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hornbook.engine.replay.compile_trace", lambda graph, *_: graph)
    plan = make_plan("names", settings=MLP)
    before = {name: t.clone() for name, t in plan.model.state_dict().items()}
    ids, targets = plan.batches.several(0, 8)
    for compiled in (True, False):
        updates = Replay(plan.model.train(), 0.0, compiled=compiled)
        assert updates.several(ids, targets, torch.full((8,), float("inf"))) is None
        for name, tensor in plan.model.state_dict().items():
            assert torch.equal(tensor, before[name])


@pytest.mark.parametrize(
    "model",
    [
        {"name": "mlp", "n_hidden": 20, "norm": "none", "dropout": 0.0},
        {"name": "mlp", "n_hidden": 20, "n_layer": 3, "norm": "batchnorm", "dropout": 0.0},
        {"name": "wavenet", "n_embd": 4, "n_hidden": 8, "dropout": 0.0},
    ],
    ids=lambda model: f"{model['name']}-{model.get('norm', 'batchnorm')}",
)
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_replayed_updates_are_the_same_to_the_bit(
    model: dict[str, object], l2: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one of them is watched in between, and computed by the model itself."""
    replayed = []

    def call(self: Replay, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor | None:
        replayed.append(plain_call(self, ids, targets))
        return replayed[-1]

    plain_call = Replay.__call__
    monkeypatch.setattr(Replay, "__call__", call)
    settings = merge(MLP, {"optim": {"l2": l2, "grad_clip": 1.0}})
    settings["training"] |= {"examples": "windows", "compile": "no", "precision": "fp32"}
    settings["model"] = model
    ends = []
    for watched in ({7}, set(range(20))):
        step = step_of(make_plan("names", settings=settings))
        figures = [step(i, watched=i in watched) for i in range(20)]
        ends.append([*(x for pair in figures for x in pair), *step.model.state_dict().values()])
    assert len(replayed) == 19
    assert None not in replayed
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_a_recording_in_one_precision_is_not_played_for_another() -> None:
    """Precisions are told apart by measuring both on one step."""
    settings = merge(MLP, {"training": {"compile": "no", "precision": "fp32"}})
    settings["model"] = {"name": "mlp", "norm": "none", "dropout": 0.0}
    plan = make_plan("names", settings=settings)
    assert plan.replayed
    step = step_of(plan)
    recorded, plain = step.gradients(0, "fp32"), step.gradients(0, "bf16")
    assert 0 < (recorded - plain).abs() < 0.05
    assert torch.equal(step.gradients(0, "fp32"), recorded)


@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize(
    "model",
    [
        {"name": "mlp", "n_hidden": 20, "norm": "none", "dropout": 0.0},
        {"name": "mlp", "n_hidden": 20, "norm": "batchnorm", "dropout": 0.0},
        {"name": "wavenet", "n_embd": 5, "n_hidden": 9, "dropout": 0.0},
    ],
    ids=["mlp", "batchnorm", "wavenet"],
)
def test_recorded_updates_of_a_run_are_the_same_to_the_bit(
    model: dict[str, object], batch_size: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Eight in one call, where nothing is due between them, or one by one."""
    together = []

    def several(self: Replay, *batch: torch.Tensor) -> torch.Tensor | None:
        together.append(plain_several(self, *batch))
        return together[-1]

    plain_several = Replay.several
    monkeypatch.setattr(Replay, "several", several)
    if batch_size == 1 and model != {**model, "norm": "none"}:
        pytest.skip("batchnorm needs two examples")
    settings = merge(MLP, {"optim": {"l2": 0.01}, "training": {"batch_size": batch_size}})
    settings["model"] = model
    settings["training"] |= {"compile": "no", "steps": 100, "examples": "windows"}
    monkeypatch.setattr("hornbook.training.loop.RECORDS", 5)
    runs = []
    for long in (0, 101):
        monkeypatch.setattr("hornbook.engine.replay.LONG", long)
        runs.append(train("names", out=tmp_path / str(long), settings=settings))
    assert len(together) >= 6
    assert None not in together
    for a, b in zip(runs[0].log, runs[1].log, strict=True):
        assert a["loss"] == b["loss"]
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-6)  # summed in another order
    a, b = (run.model.state_dict().values() for run in runs)
    assert all(torch.equal(one, other) for one, other in zip(a, b, strict=True))


def test_recorded_updates_that_end_in_no_number_change_nothing() -> None:
    plan = make_plan("names", settings=MLP)
    replay = Replay(plan.model.train(), 0.0)
    before = [t.clone() for t in plan.model.state_dict().values()]
    ids, targets = plan.batches.several(0, 8)
    assert replay.several(ids, targets, torch.full((8,), float("inf"))) is None
    assert all(
        torch.equal(*pair) for pair in zip(before, plan.model.state_dict().values(), strict=True)
    )
    assert replay.several(ids, targets, torch.full((8,), 0.1)) is not None


def test_what_depends_on_the_batch_is_not_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan("names", settings=MLP)
    model, compute = plan.model.train(), plan.model.window_logits
    monkeypatch.setattr(
        model, "window_logits", lambda w: compute(w) * float(1 + int(w.numpy()[0].sum()))
    )
    replay = Replay(model, 0.0)
    before = [t.clone() for t in model.state_dict().values()]
    assert replay(*plan.batches.batch(0)) is None
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))


def test_averaged_weights_are_the_ones_that_are_kept(tmp_path: Path) -> None:
    settings = merge(TINY_GPT, {"training": {"ema_decay": 0.9, "steps": 12, "eval_count": 1}})
    plan = make_plan("names", settings=settings)
    step = step_of(plan)
    average = [p.detach().clone() for p in step.parameters]
    for i in range(12):
        step(i)
        memory = min(0.9, (i + 1) / (i + 10))
        average = [
            memory * a + (1 - memory) * p.detach()
            for a, p in zip(average, step.parameters, strict=True)
        ]
    own = [p.detach().clone() for p in step.parameters]
    with step.at_average():
        for p, a in zip(step.parameters, average, strict=True):
            torch.testing.assert_close(p.detach(), a)
    for p, o in zip(step.parameters, own, strict=True):
        assert torch.equal(p.detach(), o)
    run = train("names", out=tmp_path / "run", settings=settings)
    for p, a in zip(run.model.parameters(), average, strict=True):
        torch.testing.assert_close(p.detach(), a)
