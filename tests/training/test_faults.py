"""A loss that is not finite, and no memory left: what is said, what is kept, how to continue."""

from __future__ import annotations

import math
import shlex
from pathlib import Path

import pytest
import torch

import hornbook
from hornbook.api import Run
from hornbook.cli.main import main
from hornbook.config import OptimConfig
from hornbook.errors import RunError, for_terminal
from hornbook.files import read_json, read_tensors
from hornbook.models.registry import build_model, model_config
from hornbook.training.callbacks.base import TrainerBase
from hornbook.training.faults import is_out_of_memory, why_not_finite
from tests.training.helpers import SETTINGS, At, overflow, small, state_steps

BIGRAM = build_model(model_config({"name": "bigram"}), 5, 0)


@pytest.mark.parametrize("where", ["weights", "loss"])
def test_a_loss_that_is_not_finite_stops_before_its_step(
    where: str, corpus: Path, tmp_path: Path
) -> None:
    def poison(trainer: TrainerBase) -> None:
        for parameter in trainer.step.model.parameters():
            parameter.data.fill_(math.nan if where == "weights" else 1e30)

    out = tmp_path / "r"
    with pytest.raises(
        RunError, match=r"at step 7 the loss is \S+ and its gradient norm nan"
    ) as error:
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(6, poison)])
    assert "expected finite ones" in str(error.value)
    assert f"hornbook.resume({str(out)!r}, settings={{'optim." in str(error.value)
    assert "'optim.learning_rate': " in str(error.value)
    assert error.value.exit_code == 1
    assert state_steps(out) == [4]
    assert all(t.isfinite().all() for t in read_tensors(out / "model.safetensors").values())


def test_after_a_divergence_it_continues_with_a_lower_learning_rate(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r"
    kept = r"the state of step 4 is kept; continue with"
    with for_terminal(), pytest.raises(RunError, match=kept) as error:
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[At(6, overflow)])
    printed = shlex.split(str(error.value).splitlines()[-1])
    assert printed[:4] == ["hornbook", "train", "--resume", str(out)]
    assert main(printed[1:]) == 0
    output = capsys.readouterr().err
    assert "optim.learning_rate is 0.002 from here on" in output
    assert "optim.muon_learning_rate is 0.005 from here on" in output
    assert Run.load(out).report["steps"] == 12


def overflowing_step(value: float) -> At:
    """The weights overflow in step 8, whose loss and gradient are finite."""

    def poison(trainer: TrainerBase) -> None:
        plain = trainer.step.optimizer.step

        def step() -> None:
            plain()
            for parameter in trainer.step.model.parameters():
                parameter.data.fill_(value)

        trainer.step.optimizer.step = step  # type: ignore[method-assign, assignment]

    return At(7, poison)


def test_a_state_that_diverges_by_itself_is_passed_over(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    kept = "the state of step 8 leads there at any learning rate, the state of step 4 is kept"
    with pytest.raises(RunError, match=kept):
        hornbook.train(str(corpus), out=out, settings=SETTINGS, callbacks=[overflowing_step(1e30)])
    assert state_steps(out) == [4, 8]
    assert read_json(out / "last" / "state.json")["step"] == 4
    assert hornbook.resume(out, settings={"optim.learning_rate": 1e-4}).report["steps"] == 12


def test_weights_that_are_not_finite_are_never_saved(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    with pytest.raises(RunError, match=r"at step 9 the loss is nan.*weights overflowed"):
        hornbook.train(
            str(corpus), out=out, settings=SETTINGS, callbacks=[overflowing_step(math.inf)]
        )
    assert state_steps(out) == [4]


def test_a_run_that_diverges_at_once_says_that_it_has_to_begin_again(
    corpus: Path, tmp_path: Path
) -> None:
    settings = small("gpt", steps=40)
    settings["optim"] = {"name": "sgd", "learning_rate": 1e30, "grad_clip": 0}
    with pytest.raises(
        RunError,
        match=r"(?s)no other is kept.*the same call with another out and settings=.*learning_rate",
    ):
        hornbook.train(str(corpus), model="gpt", out=tmp_path / "r", settings=settings)


@pytest.mark.parametrize(
    ("loss", "before", "optim", "cause", "flags"),
    [
        (math.nan, [2.0], {"name": "muon", "muon_learning_rate": 0.06}, "a sudden overflow",
         "--optim.learning-rate 0.1 --optim.muon-learning-rate 0.02"),
        (math.nan, [1.0, 2.0], {}, "the loss had risen from 1.00 to 2.00",
         "--optim.learning-rate 0.1"),
        (math.nan, [], {}, "non-finite since step 1", "--optim.learning-rate 0.1"),
        (2.0, [2.0], {"grad_clip": 0}, "it explodes",
         "--optim.grad-clip 1 --optim.learning-rate 0.1"),
        (2.0, [2.0], {"grad_clip": 3}, "it explodes",
         "--optim.grad-clip 1.5 --optim.learning-rate 0.1"),
    ],
)  # fmt: skip
def test_the_cause_and_the_remedy(
    loss: float, before: list[float], optim: dict[str, float], cause: str, flags: str
) -> None:
    config = OptimConfig.parse({"name": "adamw", "learning_rate": 0.3, **optim}, "optim")
    found = why_not_finite(BIGRAM, loss, math.inf, before, 0.003, config)
    assert cause in found[0]
    assert found[1] == flags


def test_running_out_of_memory_says_what_to_lower(corpus: Path, tmp_path: Path) -> None:
    def exhaust(_: object) -> None:
        torch.empty(1 << 60, dtype=torch.uint8)

    with pytest.raises(
        RunError,
        match=r"no memory left at step 6; the estimate was .*training.batch_size \(now 8",
    ):
        hornbook.train(
            str(corpus), out=tmp_path / "r", settings=SETTINGS, callbacks=[At(5, exhaust)]
        )


def test_other_errors_are_not_called_a_lack_of_memory() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: not enough memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("not enough memory"))
