"""What ranks do in tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import torch

import hornbook
from hornbook.config import merge
from hornbook.data.batches import Draw, build_batches
from hornbook.data.part import Part
from hornbook.engine.step import OptimizerStep
from hornbook.kernels.install import install
from hornbook.metrics.loss import token_nats
from hornbook.models.registry import MODELS, build_model, parse_run_config
from hornbook.parallel.ranks import Ranks, joined
from hornbook.tokenizers import build_tokenizer
from tests.conftest import TINY

TRAINED = [name for name, entry in MODELS.items() if entry.trained and not entry.model.fitted]
STEPS = 20
TEXTS = ["ab" * (1 + 5 * i % 13) + "c" * (i % 4) + "def"[i % 3] for i in range(90)]


def part() -> tuple[Part, Any]:
    """Documents of very different lengths: ranks score different numbers of targets."""
    tokenizer = build_tokenizer("char", "\n".join(TEXTS), documents=True)
    return Part.of_documents(TEXTS, tokenizer), tokenizer


def step_of(name: str, ranks: Ranks, **settings: Any) -> OptimizerStep:
    """The step of a tiny model with a batch of ten, which two ranks share evenly, and four do not."""
    words, tokenizer = part()
    fields = MODELS[name].config.model_fields
    model = {"name": name, **{key: size for key, size in TINY.items() if key in fields}}
    training = {"batch_size": 10, "steps": STEPS, "seed": 3}
    base = {"model": model, "training": training, "optim": {"name": "adamw"}}
    config = parse_run_config(merge(base, settings))
    torch.manual_seed(0)
    net = build_model(config.model, tokenizer.vocab_size, tokenizer.end_id).train()
    if net.counted:
        net.fit(torch.from_numpy(words.tokens.astype(np.int64)), torch.from_numpy(words.starts))
    install(net)
    draw = Draw(batch_size=10, seed=3, rank=ranks.rank, world_size=ranks.world_size)
    batches = build_batches(words, net.examples, net.context_length, draw)
    return OptimizerStep(net, batches, config, ranks=ranks)


def losses_of(
    names: list[str], settings: dict[str, Any]
) -> dict[str, tuple[list[float], list[float]]]:
    """Losses and gradient norms of the first steps of each model, then the loss of each token."""
    found = {}
    with joined("cpu") as ranks:
        for name in names:
            step = step_of(name, ranks, **settings)
            pairs = [step(i) for i in range(STEPS)]
            nats = token_nats(step.model, part()[0], batch_tokens=64, ranks=ranks)
            figures = [float(loss) for loss, _ in pairs] + [float(norm) for _, norm in pairs]
            found[name] = (figures, nats.tolist())
    return found


def train(corpus: str, out: str, settings: dict[str, Any]) -> str:
    """Trains a run, or goes on with it; returns what the rank was told about it."""
    run = hornbook.train(corpus, out=out, settings=settings, progress=False)
    return str(run.report["validation"]["nats"])


class Stop(hornbook.Callback):
    """Sends a signal to the first rank before a step."""

    def pre_step(self, step: int) -> None:
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
