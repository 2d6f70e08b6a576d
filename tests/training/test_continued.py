"""Runs that begin from a base: resumed to the bit, with LoRA, replay and more characters."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import hornbook
from hornbook.errors import ConfigError, RunError
from hornbook.files import read_tensors
from hornbook.training.interrupts import Interrupted
from tests.training.helpers import SETTINGS, After, At, Listen, die, stop, tensors_of, without_times

FORMS: dict[str, dict[str, Any]] = {
    "full": {},
    "replay": {"replay": 0.5},
    "lora": {"lora_rank": 2, "replay": 0.25},
    "grown": {"lora_rank": 2, "grow": True},
    "skip": {"unknown": "skip"},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> hornbook.Run:
    folder = tmp_path_factory.mktemp("continued")
    parts = ["ba", "ko", "mi", "tu", "re", "la"]
    words = [a + b + c for a in parts for b in parts for c in parts]
    (folder / "old.txt").write_text("\n".join(words))
    (folder / "new.txt").write_text("\n".join(word[::-1] for word in words[:60]))
    (folder / "more.txt").write_text("\n".join(word[::-1] + "z" for word in words[:60]))
    return hornbook.train(
        folder / "old.txt", settings=SETTINGS, out=folder / "base", progress=False
    )


def train(base: hornbook.Run, out: Path, form: str, *callbacks: Any) -> hornbook.Run:
    text = "more.txt" if form in ("grown", "skip") else "new.txt"
    training = {**SETTINGS["training"], "patience": 0}
    return hornbook.train(
        Path(base.config.data.corpus).parent / text,
        base=base.path,
        settings={"finetuning": FORMS[form], "training": training},
        out=out,
        callbacks=callbacks,
        progress=False,
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    form: str, base: hornbook.Run, tmp_path: Path
) -> None:
    whole = train(base, tmp_path / "whole", form)
    with pytest.raises(Interrupted):
        train(base, tmp_path / "stopped", form, After(5, stop))
    resumed = hornbook.resume(tmp_path / "stopped", progress=False)
    assert tensors_of(resumed.path) == tensors_of(whole.path)
    assert without_times(resumed.log) == without_times(whole.log)
    adapters = [run.path / "adapter/adapter_model.safetensors" for run in (whole, resumed)]
    if FORMS[form].get("lora_rank"):
        first, second = (read_tensors(file) for file in adapters)
        assert all(first[name].equal(second[name]) for name in first)
    else:
        assert not any(file.exists() for file in adapters)
    assert resumed.evaluate("val").nats == pytest.approx(whole.report["validation"]["nats"])


def test_the_weights_of_the_base_are_kept_where_none_are_better(
    base: hornbook.Run, tmp_path: Path
) -> None:
    settings = {"optim": {"learning_rate": 5.0, "muon_learning_rate": 5.0, "grad_clip": 0.0}}
    run = hornbook.train(
        base.path.parent / "old.txt", base=base,
        settings={**settings, "training": SETTINGS["training"]},
        out=tmp_path / "run", progress=False,
    )  # fmt: skip
    assert run.report["best_step"] == 0
    weights = read_tensors(run.path / "model.safetensors")
    assert all(t.equal(weights[name]) for name, t in base.model.state_dict().items())


def test_a_run_that_died_before_its_first_state_begins_again(
    base: hornbook.Run, tmp_path: Path
) -> None:
    whole = train(base, tmp_path / "whole", "full")
    with pytest.raises(KeyboardInterrupt):
        train(base, tmp_path / "dead", "full", At(1, die))
    listen = Listen()
    again = hornbook.resume(tmp_path / "dead", callbacks=[listen])
    assert listen.says("begins again")
    assert tensors_of(again.path) == tensors_of(whole.path)


def test_the_base_may_be_gone_once_there_is_a_state_but_for_replay(
    base: hornbook.Run, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    shutil.copytree(base.path, own)
    mine = hornbook.load(own)
    for name in ("full", "replay"):
        with pytest.raises(Interrupted):
            hornbook.train(
                base.path.parent / "new.txt", base=mine, out=tmp_path / name, progress=False,
                settings={"finetuning": FORMS[name], "training": SETTINGS["training"]},
                callbacks=[After(5, stop)],
            )  # fmt: skip
    shutil.rmtree(own)
    listen = Listen()
    hornbook.resume(tmp_path / "full", callbacks=[listen])
    assert listen.says("no longer watched")
    with pytest.raises(RunError, match="This run began from it"):
        hornbook.resume(tmp_path / "replay")


def test_a_finished_run_with_another_text_is_told_how(base: hornbook.Run) -> None:
    with pytest.raises(ConfigError) as caught:
        hornbook.resume(base.path, settings={"data.corpus": "other.txt"})
    assert "To train it further on another text" in str(caught.value)
    assert "base" in str(caught.value)


def test_a_run_can_itself_be_a_base(base: hornbook.Run, tmp_path: Path) -> None:
    first = train(base, tmp_path / "first", "lora")
    second = train(first, tmp_path / "second", "full")
    with pytest.raises(ConfigError, match="does not know"):
        hornbook.train(
            base.path.parent / "more.txt", base=first, out=tmp_path / "third", progress=False
        )
    assert second.facts["base"]["corpus"]["name"] == "new"
