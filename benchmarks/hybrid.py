"""How counts and a network are best joined: forms of the hybrid after equal steps, over seeds.

    HORNBOOK_DATA=... python benchmarks/hybrid.py [CORPUS ...] [--forms hybrid ...] [--model order=8]

Corpora: makemore-names, shakespeare, and `docs`, the topics of `pydoc_data`. Each is the training
part of the corpus, of which a tenth is held out here, so that nothing is chosen by the part that
figures are quoted on. The network is the same for each form: 3 blocks of 64 channels, context 64,
16 rows. The forms of `AFTERWARDS` are learned on the finished network, in `LEARNED` further steps
that change nothing else. Prints a line for each training, then means with the standard error of
their difference from the hybrid, pairing seeds; then one JSON line.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import statistics
import tempfile
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import torch
from common import build_step, make_plan, train_steps, validation_loss
from torch import Tensor, nn

from hornbook.config import DataConfig, Nested, TokenizerConfig
from hornbook.data.training_data import load_training_data
from hornbook.metrics.loss import batch_loss, evaluate
from hornbook.models.hybrid import GATE, Hybrid
from hornbook.planning.plan import Plan

LEARNED = 100  # steps that a combination with a finished network is learned in
NETWORK = {"context_length": 64, "n_layer": 3, "n_head": 2, "n_embd": 64, "dropout": 0.0,
           "count_dropout": 0.0}  # fmt: skip


class Alone(Hybrid):
    """The network by itself."""

    def _logits(self, ids: Tensor, targets: Tensor | None) -> Tensor:
        return self.network(ids)


class Residual(Hybrid):
    """The network's logits and the weighted log probabilities of counts, which it does not read."""

    def embed_counts(self, log_p: Tensor) -> Tensor:
        return log_p.new_zeros(())


class Mixture(Residual):
    """The mean of both probabilities by weights that depend on the context."""

    def join(self, logits: Tensor, log_p: Tensor, seen: Tensor) -> Tensor:
        return mean_of(log_p, logits.log_softmax(-1), self.gated(logits, log_p, seen))


class Static(Residual):
    """The mean of both probabilities by two fixed weights: the bias of the gate alone."""

    def join(self, logits: Tensor, log_p: Tensor, seen: Tensor) -> Tensor:
        return mean_of(log_p, logits.log_softmax(-1), self.gate[-1].bias)


class Product(Residual):
    """Powers of both probabilities, multiplied, by exponents that depend on the context."""

    def join(self, logits: Tensor, log_p: Tensor, seen: Tensor) -> Tensor:
        a, b = (1 + self.gated(logits, log_p, seen)).chunk(2, -1)
        return a * log_p + b * logits.log_softmax(-1)


class Counted(Hybrid):
    """The hybrid, trained on counts that contain the predicted token."""

    def training_logits(self, ids: Tensor, targets: Tensor) -> Tensor:
        return self(ids)


TOGETHER = {"network": Alone, "mixture": Mixture, "residual": Residual, "hybrid": Hybrid,
            "not left out": Counted}  # fmt: skip
AFTERWARDS = {"static": Static, "gate": Mixture, "product": Product}


def mean_of(log_p: Tensor, log_q: Tensor, gate: Tensor) -> Tensor:
    """The log of the weighted mean of two probabilities, by the log odds of the first."""
    both = torch.stack([log_p + nn.functional.logsigmoid(gate),
                        log_q + nn.functional.logsigmoid(-gate)])  # fmt: skip
    return both.logsumexp(0)


def learned_afterwards(network: Hybrid, form: str, plan: Plan) -> Hybrid:
    """A combination of counts with a finished network, learned on the batches after its last."""
    model = copy.deepcopy(network).train()
    model.__class__ = AFTERWARDS[form]
    if form == "product":
        model.gate[-1] = nn.Linear(GATE, 2)
        nn.init.zeros_(model.gate[-1].weight)
        nn.init.constant_(model.gate[-1].bias, -0.5)
    batches, steps = plan.build_batches(), plan.config.training.steps
    rate = 0.1 if form == "static" else 0.02
    optimizer = torch.optim.AdamW(model.gate.parameters(), lr=rate, weight_decay=0.0)
    model.requires_grad_(False).gate.requires_grad_(True)
    for step in range(steps, steps + LEARNED):
        optimizer.param_groups[0]["lr"] = rate * (1 - (step - steps) / LEARNED)
        optimizer.zero_grad()
        batch_loss(model, *batches.batch(step)).backward()
        optimizer.step()
    return model.eval()


def losses(
    corpus: str, seed: int, steps: int, forms: list[str], model: dict[str, Any]
) -> dict[str, float]:
    """The loss of each form, and of its parts, on the part held out here."""
    settings: Nested = {
        "data": {"kind": "stream" if corpus.endswith("stream") else "documents"},
        "model": NETWORK | model,
        "training": {"seed": seed, "steps": steps, "batch_size": 16, "threads": 1, "compile": "no"},
    }
    plan = make_plan(corpus, model="hybrid", settings=settings)
    found: dict[str, float] = {}
    after = [form for form in forms if form in AFTERWARDS]
    for form in TOGETHER:
        if form not in forms and not (form == "network" and after):
            continue
        step = build_step(plan)
        step.model.__class__ = TOGETHER[form]
        train_steps(plan, step, 0, steps)
        found[form] = validation_loss(plan, step)
        for name, part in step.model.parts.items():
            found[f"{name} alone"] = evaluate(part, plan.data.validation).nats
        if form == "network":
            for other in after:
                model = learned_afterwards(step.model, other, plan)
                found[other] = evaluate(model, plan.data.validation).nats
    return found


def training_text(corpus: str, folder: Path) -> Path:
    """The training part of a corpus as a text of its own, named by its kind."""
    kind = "documents" if corpus == "makemore-names" else "stream"
    file = folder / f"{corpus}.{kind}"
    if corpus == "docs":
        text = "\n\n".join(topics[name] for name in sorted(topics))
        file.write_text(text[: int(0.9 * len(text))], "utf-8")
    else:
        split = load_training_data(DataConfig(corpus=corpus), TokenizerConfig()).split
        file.write_text("\n".join(split.train), "utf-8")
    return file


def main() -> None:
    """Measures the corpora that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="*", default=["makemore-names", "shakespeare", "docs"])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", nargs="+", default=[], metavar="FIELD=VALUE", help="as JSON")
    parser.add_argument("--forms", nargs="+", default=[*TOGETHER, *AFTERWARDS])
    arguments = parser.parse_args()
    model = {name: json.loads(value) for name, value in (f.split("=") for f in arguments.model)}
    rows: list[dict[str, Any]] = []
    for corpus in arguments.corpora:
        with tempfile.TemporaryDirectory() as folder:
            text = str(training_text(corpus, Path(folder)))
            for seed in range(arguments.seeds):
                found = losses(text, seed, arguments.steps, arguments.forms, model)
                for form, loss in found.items():
                    rows.append({"corpus": corpus, "seed": seed, "form": form, "loss": loss})
                    print(f"{corpus}  seed {seed}  {form}  {loss:.4f}", flush=True)
        for form in found:
            own, hybrid = ([r["loss"] for r in rows if (r["corpus"], r["form"]) == (corpus, name)]
                           for name in (form, "hybrid"))  # fmt: skip
            behind = [a - b for a, b in zip(own, hybrid, strict=False)] or [math.nan]
            error = statistics.stdev(behind) / len(behind) ** 0.5 if len(behind) > 1 else math.nan
            print(f"{corpus:16}{form:14}{statistics.mean(own):8.4f}"
                  f"{statistics.mean(behind):+9.4f} +- {error:.4f}")  # fmt: skip
    print(json.dumps({"benchmark": "hybrid", "rows": rows}))


if __name__ == "__main__":
    main()
