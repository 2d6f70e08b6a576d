"""What ranks do in tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

import hornbook
from hornbook.cli.main import main
from hornbook.config import merge
from hornbook.data import tokens
from hornbook.data.batches import Draw, build_batches
from hornbook.data.part import Part
from hornbook.engine.step import OptimizerStep, Parallel
from hornbook.errors import RunError
from hornbook.kernels.install import install
from hornbook.metrics.loss import token_nats
from hornbook.models.base import blocks_of
from hornbook.models.registry import MODELS, build_model, parse_run_config
from hornbook.parallel.ranks import Ranks, joined
from hornbook.planning.request import read_request
from hornbook.planning.resolve import resolve
from hornbook.tokenizers import Tokenizer, build_tokenizer
from hornbook.training.callbacks.base import NOTHING, Agreement
from hornbook.training.callbacks.checkpoints import Checkpoints
from tests.conftest import TINY

TRAINED = [name for name, entry in MODELS.items() if entry.trained and not entry.model.fitted]
STEPS = 20
TEXTS = ["ab" * (1 + 5 * i % 13) + "c" * (i % 4) + "def"[i % 3] for i in range(90)]

Figures = dict[str, tuple[list[float], list[float]]]


def texts() -> tuple[Part, Tokenizer]:
    """Documents of very different lengths: ranks score different numbers of targets."""
    tokenizer = build_tokenizer("char", "\n".join(TEXTS), documents=True)
    return Part.of_documents(TEXTS, tokenizer), tokenizer


def step_of(name: str, ranks: Ranks, settings: Mapping[str, Any], **how: Any) -> OptimizerStep:
    """The step of a tiny model with a batch of ten, which two ranks share evenly, and four do not."""
    words, tokenizer = texts()
    fields = MODELS[name].config.model_fields
    model = {"name": name, **{key: size for key, size in TINY.items() if key in fields}}
    training = {"batch_size": 10, "steps": STEPS, "seed": 3}
    config = parse_run_config(merge({"model": model, "training": training}, settings))
    torch.manual_seed(0 if ranks.is_first else 1)  # all begin with the weights of rank 0
    net = build_model(config.model, tokenizer.vocab_size, tokenizer.end_id).train()
    if net.counted:
        net.fit(torch.from_numpy(words.tokens.astype(np.int64)), torch.from_numpy(words.starts))
    install(net)
    draw = Draw(batch_size=10, seed=3, rank=ranks.rank, world_size=ranks.world_size)
    batches = build_batches(words, net.examples, net.context_length, draw)
    return OptimizerStep(net, batches, config, ranks=ranks, **how)


def losses_of(names: list[str], settings: Mapping[str, Any]) -> Figures:
    """Of each model the losses and gradient norms of its first steps, then the loss of each token."""
    found = {}
    with joined("cpu") as ranks:
        for name in names:
            step = step_of(name, ranks, settings)
            pairs = [step(i) for i in range(STEPS)]
            nats = token_nats(step.model, texts()[0], batch_tokens=64, ranks=ranks)
            figures = [float(loss) for loss, _ in pairs] + [float(norm) for _, norm in pairs]
            found[name] = (figures, nats.tolist())
    return found


def planned_losses(
    requests: Mapping[str, tuple[str, Mapping[str, Any]]], parallel: Parallel
) -> dict[str, list[float]]:
    """Of each request, a text with settings, the losses of its first six steps, as it is planned: the
    form of a batch is the same in all of them."""
    found = {}
    with joined("cpu") as ranks:
        for name, (text, settings) in requests.items():
            plan = replace(resolve(read_request(text, settings=settings)), ranks=ranks)
            plan = replace(plan, parallel=parallel)
            model, rows = plan.build_rows()
            step = OptimizerStep(
                model.train(), plan.build_batches(), plan.config,
                ranks=ranks, parallel=parallel, rows=rows,
            )  # fmt: skip
            found[name] = [float(step(i)[0]) for i in range(6)]
    return found


def compiled_losses(settings: Mapping[str, Any]) -> tuple[list[float], int, int]:
    """Losses of a few steps of sharded weights whose blocks go through a compiler that does nothing;
    how many do, and how many blocks of the model that is evaluated do not."""
    compiled: list[Any] = []

    def compile(forward: Any, **_: Any) -> Any:
        compiled.append(forward)
        return lambda *inputs: forward(*inputs)

    with joined("cpu") as ranks, patch("torch.compile", compile):
        step = step_of("gpt", ranks, settings, parallel="fsdp", compiled="blocks")
        losses = [float(step(i)[0]) for i in range(3)]
        with step.whole() as model:
            plain = sum("forward" not in vars(block) for block in blocks_of(model))
        return losses, len(compiled), plain


def talk() -> dict[str, Any]:
    """What each rank hears of the others."""
    with joined("cpu") as ranks:
        own = ranks.rank
        tensors = {
            "step": torch.tensor(2.5),
            "mask": torch.tensor([[True, False]]),
            "half": torch.arange(3, dtype=torch.bfloat16),
            "none": torch.zeros(0, 2),
            "ids": torch.tensor([[7]]).expand(1, 1),
        }
        sent = ranks.broadcast_tensors(tensors if ranks.is_first else {})
        return {
            "sum": ranks.sum(torch.ones(2) * (own + 1)).tolist(),
            "max": ranks.max([own, -own]),
            "any": (ranks.any(own == 1), ranks.any(False)),
            "values": [ranks.broadcast(v if ranks.is_first else 0) for v in (None, {"a": [own]})],
            "bytes": [ranks.broadcast(v if ranks.is_first else b"") for v in (b"", b"\0\xff")],
            "tensors": all(torch.equal(sent[name], t) for name, t in tensors.items()),
            "first": ranks.on_first(lambda: [own, "done"]),
            "order": ranks.one_after_other(lambda: own),
            "share": list(ranks.share(range(5))),
        }


def fail(rank: int, how: str) -> str:
    """One rank ends while the others wait for it, in each of the ways that there are to wait."""
    with joined("cpu") as ranks:
        ranks.barrier()
        if ranks.rank == rank:
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RunError("the disk is full")
        if how == "waiting":
            ranks.on_first(lambda: None)
        ranks.sum(torch.ones(1))
    return "went on"


class Signaled(hornbook.Callback):
    """Sends a signal to this process, the first, before a step, and again, as torchrun does."""

    def __init__(self, step: int, number: int) -> None:
        self.step, self.number = step, number

    def pre_step(self, step: int) -> None:
        if step == self.step:
            os.kill(os.getpid(), self.number)
            os.kill(os.getpid(), self.number)


class Proposed(hornbook.Callback):
    """What the clocks of this process, the first, say after so many steps."""

    def __init__(self, agreements: Mapping[int, Agreement]) -> None:
        self.agreements = agreements

    def propose(self) -> Agreement:
        return self.agreements.get(self.trainer.state.step, NOTHING)


def train(corpus: str, out: str, settings: Mapping[str, Any], signaled: int = -1) -> str:
    """Trains a run, or goes on with it; returns its path. signaled: rank 0 gets SIGTERM before this
    step."""
    callbacks = [Signaled(signaled, signal.SIGTERM)]
    run = hornbook.train(corpus, out=out, settings=settings, progress=False, callbacks=callbacks)
    return str(run.path)


def train_as_proposed(
    corpus: str, out: str, settings: Mapping[str, Any], agreements: Mapping[int, Agreement]
) -> tuple[int, list[int], int]:
    """Trains a run; returns the step that this rank ends with, after which steps it is to save, and how
    often it turned the text into tokens."""
    written, saved, last = [], [], []
    write, save, end = tokens._write, Checkpoints.save, Checkpoints.on_end

    def saving(self: Checkpoints) -> None:
        saved.append(self.trainer.state.step)
        save(self)

    def ending(self: Checkpoints) -> None:
        last.append(self.trainer.state.step)
        end(self)

    def writing(*arguments: Any) -> Any:
        written.append(os.getpid())
        return write(*arguments)

    with (
        patch.object(Checkpoints, "save", saving),
        patch.object(Checkpoints, "on_end", ending),
        patch.object(tokens, "_write", writing),
        patch.dict(os.environ, {"HORNBOOK_CACHE": f"{out}-cache"}),
    ):
        callbacks = [Proposed(agreements)]
        hornbook.train(corpus, out=out, settings=settings, progress=False, callbacks=callbacks)
    return last[0], saved, len(written)


def command(arguments: list[str]) -> tuple[int, str, str]:
    """A command line on each rank: exit code, what it prints, and what it says."""
    out, err = StringIO(), StringIO()
    quick = patch("hornbook.cli.main.LAST_WORDS", 0.0)
    with redirect_stdout(out), redirect_stderr(err), quick:
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()


def resume(out: str, steps: int) -> str:
    """Trains a run further."""
    return str(hornbook.resume(out, steps=steps, progress=False).path)
