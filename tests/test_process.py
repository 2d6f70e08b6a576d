"""What a program has set for its whole process or thread changes no number of hornbook's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hornbook
from hornbook.api import Run
from hornbook.errors import RunError
from hornbook.process import standard_defaults, training_state
from hornbook.training.callbacks.base import Callback
from tests.conftest import TINY_GPT, WORDS, tiny_model, train_small


@contextmanager
def odd_defaults(dtype: torch.dtype = torch.float64, device: str = "meta") -> Iterator[None]:
    """A process whose program has set everything otherwise."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device), torch.no_grad(), np.errstate(all="raise"):
            yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("end_id", [0, None])
def test_a_model_computes_the_same_under_odd_defaults(
    model_name: str, dtype: torch.dtype, end_id: int | None
) -> None:
    model = tiny_model(model_name, 12, end_id)
    ids = torch.randint(1, 12, (2, 9), generator=torch.Generator().manual_seed(0))
    found = []
    for surroundings in (nullcontext(), odd_defaults(dtype)):
        with surroundings, torch.no_grad():
            logits, state = model.start(ids)
            found.append([model(ids), logits, model.step(ids[:, 0], state)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert {x.dtype for x in found[1]} == {torch.float32}


def use(run: Run) -> list[Any]:
    """Everything that a stored run is asked for."""
    pieces = "".join(run.stream(max_tokens=12, seed=3))
    return [
        run.sample(4, seed=1, max_tokens=12), pieces, run.score(["emma", "mia"]),
        run.evaluate("val").nats, run.evaluate("train").nats,
    ]  # fmt: skip


def test_a_run_of_every_model_is_the_same_under_odd_defaults(
    small_run: Run, tmp_path: Path
) -> None:
    (tmp_path / "words.txt").write_text("\n".join(WORDS * 3), "utf-8")
    name = small_run.config.model.name
    with odd_defaults():
        if name == "mixture":
            parts = [train_small(name, tmp_path, tmp_path / name) for name in ("mlp", "gpt")]
            run = hornbook.mix(parts, tmp_path / "run")
        else:
            run = train_small(name, tmp_path, tmp_path / "run")
        loaded = hornbook.load(run.path)
        there = use(loaded)
    weights, expected = loaded.model.state_dict(), small_run.model.state_dict()
    assert all(torch.equal(weights[n], expected[n]) for n in expected)
    assert weights.keys() == expected.keys()
    assert there == use(hornbook.load(small_run.path))
    losses = [[(r["loss"], r.get("val_loss")) for r in x.log] for x in (loaded, small_run)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_is_resumed_across_odd_defaults(
    words_file: Path, tmp_path: Path, first: bool, optimizer: str
) -> None:
    settings = {**TINY_GPT, "optim": {"name": optimizer, "schedule": "constant"}}

    def trained(out: str, *odd: bool) -> dict[str, torch.Tensor]:
        surroundings = [odd_defaults() if o else nullcontext() for o in odd]
        for steps, around in zip((6, 12) if len(odd) > 1 else (12,), surroundings, strict=True):
            with around:
                if (tmp_path / out).exists():
                    run = hornbook.resume(tmp_path / out, steps=steps)
                else:
                    run = hornbook.train(
                        str(words_file),
                        steps=steps,
                        out=tmp_path / out,
                        precision="fp32",
                        settings={
                            k: {f: v for f, v in s.items() if f != "steps"}
                            for k, s in settings.items()
                        },
                    )
        return run.model.state_dict()

    plain, mixed = trained("plain", False, False), trained("mixed", first, not first)
    assert all(torch.equal(plain[name], mixed[name]) for name in plain)


@contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    torch.set_float32_matmul_precision(name)
    try:
        yield
        assert torch.get_float32_matmul_precision() == name
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(
    "surroundings",
    [
        torch.inference_mode, lambda: torch.autocast("cpu"), lambda: torch.set_grad_enabled(False),
        lambda: torch.device("meta"), lambda: np.errstate(all="raise"),
        lambda: matmul_precision("medium"),
    ],
    ids=["inference_mode", "autocast", "no_grad", "device", "errstate", "matmul"],
)  # fmt: skip
def test_a_training_inside_another_mode_gives_the_same_weights(
    names_run: Run, tmp_path: Path, surroundings: Any
) -> None:
    with surroundings():
        run = hornbook.train("names", out=tmp_path / "run", precision="fp32", settings=TINY_GPT)
    found, expected = run.model.state_dict(), names_run.model.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_figures_are_drawn_under_odd_defaults(names_run: Run, tmp_path: Path) -> None:
    run = hornbook.load(names_run.path)
    with torch.inference_mode():
        run.sample(1)  # reads the model
    with odd_defaults():
        inspection = run.inspect(tmp_path, text="emma")
    assert {"surprise", "embeddings", "bigrams"} <= {*inspection.written}


def test_defaults_are_afterwards_as_before() -> None:
    def fails() -> None:
        with standard_defaults():
            assert torch.zeros(1).dtype == torch.float32
            assert torch.zeros(1).device.type == "cpu"
            raise ZeroDivisionError

    with odd_defaults():
        with pytest.raises(ZeroDivisionError):
            fails()
        assert torch.zeros(1).dtype == torch.float64
        assert torch.zeros(1).device.type == "meta"
    with training_state("a"):
        assert torch.is_grad_enabled()


def test_loading_draws_no_random_number(small_run: Run) -> None:
    before = torch.get_rng_state()
    hornbook.load(small_run.path).sample(1, seed=0, max_tokens=3)
    Run.of(small_run).score("emma")
    assert torch.equal(torch.get_rng_state(), before)


class Trains(Callback):
    """Tries to train beside the run that it belongs to: in this thread, and in another."""

    def __init__(self, corpus: Path, out: Path) -> None:
        self.corpus, self.out = corpus, out
        self.errors: list[str] = []

    def train(self) -> None:
        try:
            hornbook.train(str(self.corpus), model="bigram", steps=2, out=self.out)
        except RunError as error:
            self.errors.append(str(error))

    def on_end(self) -> None:
        self.train()
        thread = threading.Thread(target=self.train)
        thread.start()
        thread.join()


def test_a_second_training_in_one_process_is_refused_with_the_first_one_named(
    words_file: Path, tmp_path: Path
) -> None:
    trains = Trains(words_file, tmp_path / "other")
    run = hornbook.train(
        str(words_file), model="bigram", steps=3, out=tmp_path / "run", callbacks=[trains]
    )
    assert len(trains.errors) == 2
    for error in trains.errors:
        assert "found train (MainThread) still running in this process" in error
        assert "train in another process" in error
    assert run.report
    assert not trains.out.exists()
    trains.train()  # and afterwards it may
    assert len(trains.errors) == 2


def test_trainings_of_several_threads_one_after_the_other_are_equal(
    names_run: Run, tmp_path: Path
) -> None:
    losses: list[float] = []
    refused: list[RunError] = []

    def train(number: int) -> None:
        try:
            run = hornbook.train(
                "names", out=tmp_path / str(number), precision="fp32", settings=TINY_GPT
            )
            losses.append(run.log[-1]["val_loss"])
        except RunError as error:
            refused.append(error)

    threads = [threading.Thread(target=train, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(losses) + len(refused) == 3
    assert {*losses} == {names_run.log[-1]["val_loss"]}
