"""Steps of the notes' MLP, BatchNorm MLP and WaveNet: hornbook against the notes' own loops.

    HORNBOOK_DATA=... python benchmarks/steps.py [mlp] [mlp-bn] [wavenet] [--compile] [--device cuda]

Batch 32, plain gradient descent, the same mathematics and as many threads on both sides. They are timed
in turns within one run, microseconds a step, medians. `--compile` also times several steps in one
compiled call (a minute or so to compile each), which `hornbook train` chooses for runs of the notes'
length. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from common import build_step, make_plan
from torch import Tensor
from torch.nn import functional as F

from hornbook.engine.device import synchronize, use_threads
from hornbook.engine.step import OptimizerStep
from hornbook.kernels.tuning import SPAN
from hornbook.planning.plan import Plan

ROUNDS, STEPS = 15, 64  # taken in turns; steps a round


class BatchNorm:
    """The notes' class, in training."""

    def __init__(self, dim: int) -> None:
        self.gamma, self.beta = torch.ones(dim), torch.zeros(dim)
        self.running_mean, self.running_var = torch.zeros(dim), torch.ones(dim)

    def __call__(self, x: Tensor) -> Tensor:
        dim = 0 if x.ndim == 2 else (0, 1)
        xmean, xvar = x.mean(dim, keepdim=True), x.var(dim, keepdim=True)
        xhat = (x - xmean) / torch.sqrt(xvar + 1e-5)
        with torch.no_grad():
            self.running_mean = 0.9 * self.running_mean + 0.1 * xmean
            self.running_var = 0.9 * self.running_var + 0.1 * xvar
        return self.gamma * xhat + self.beta


def textbook(name: str, X: Tensor, Y: Tensor) -> Callable[[int], None]:  # noqa: N803
    """One step of the notes' loop."""
    generator = torch.Generator(X.device).manual_seed(0)
    block = X.shape[1]
    size, hidden = (24, 128) if name == "wavenet" else (10, 200)
    C = torch.randn(27, size)  # noqa: N806
    inputs = [2 * size, 2 * hidden, 2 * hidden] if name == "wavenet" else [block * size]
    weights = [torch.randn(n, hidden) * (5 / 3) / n**0.5 for n in inputs]
    norms = [BatchNorm(hidden) for _ in weights] if name != "mlp" else []
    b1 = torch.zeros(hidden)
    W2, b2 = torch.randn(hidden, 27) * 0.01, torch.zeros(27)  # noqa: N806
    parameters = [C, *weights, W2, b2, *(p for n in norms for p in (n.gamma, n.beta))]
    parameters += [b1] if name == "mlp" else []
    for p in parameters:
        p.requires_grad = True

    def forward(x: Tensor) -> Tensor:
        if name == "mlp":
            return torch.tanh(C[x].view(-1, block * size) @ weights[0] + b1) @ W2 + b2
        if name == "mlp-bn":
            return torch.tanh(norms[0](C[x].view(-1, block * size) @ weights[0])) @ W2 + b2
        h = C[x]
        for weight, norm in zip(weights, norms, strict=True):
            B, T, width = h.shape  # noqa: N806
            h = h.view(B, T // 2, width * 2)
            h = torch.tanh(norm((h.squeeze(1) if h.shape[1] == 1 else h) @ weight))
        return h @ W2 + b2

    def step(i: int) -> None:
        ix = torch.randint(0, X.shape[0], (32,), generator=generator, device=X.device)
        loss = F.cross_entropy(forward(X[ix]), Y[ix])
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            p.data += -0.1 * p.grad
        loss.item()

    return step


def rows_of(plan: Plan) -> tuple[Tensor, Tensor]:
    """The notes' X and Y."""
    X = torch.cat(list(plan.training_windows()))  # noqa: N806
    Y = torch.from_numpy(plan.data.train.tokens[1 : len(X) + 1].astype("int64"))  # noqa: N806
    return X.to(plan.device), Y.to(plan.device)


def measure(name: str, device: str, rounds: int, *, compiled: bool) -> dict[str, float]:
    """Microseconds a step of each side."""
    settings = {"training": {"compile": "no", "device": device, "precision": "fp32"}}
    plan = make_plan(preset=f"notes-{name}", settings=settings)
    with torch.device(plan.device):
        sides: dict[str, Callable[[int], object]] = {"textbook": textbook(name, *rows_of(plan))}
    sides["hornbook"] = build_step(plan)
    compiling = 0.0
    with use_threads(plan.threads):
        if compiled:
            together = OptimizerStep(
                plan.build_model().train(), plan.build_batches(), plan.config, "fp32", "steps"
            )
            begin = time.perf_counter()
            if len(together.advance(0, SPAN)) != SPAN:
                raise SystemExit(f"{name}: its steps could not be compiled")
            compiling = time.perf_counter() - begin
            sides["compiled"] = lambda i: together.advance(i, i + SPAN)
        times: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(rounds + 1):  # the first warms up
            for side, step in sides.items():
                begin = time.perf_counter()
                for i in range(0, STEPS, SPAN if side == "compiled" else 1):
                    step(i)
                synchronize(plan.device)
                times[side].append((time.perf_counter() - begin) / STEPS * 1e6)
    result = {side: round(statistics.median(taken[1:]), 1) for side, taken in times.items()}
    for side in sides:
        if side != "textbook":
            ratios = [t / o for t, o in zip(times["textbook"][1:], times[side][1:], strict=True)]
            result[f"{side}_times_as_fast"] = round(statistics.median(ratios), 2)
    result["threads"] = plan.threads
    return result | ({"compiling_s": round(compiling, 1)} if compiled else {})


def main() -> None:
    """Measures the models that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["mlp", "mlp-bn", "wavenet"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    found = {
        name: measure(name, arguments.device, arguments.rounds, compiled=arguments.compile)
        for name in arguments.models
    }
    columns = list(next(iter(found.values())))
    print("".join(f"{c:>24}" for c in ["step", *columns]))
    for name, row in found.items():
        print("".join(f"{c:>24}" for c in [name, *(row[c] for c in columns)]))
    print(json.dumps({"benchmark": "steps", "device": arguments.device, **found}))


if __name__ == "__main__":
    main()
