"""One training step by micrograd, by hornbook's Values and by hornbook's compile, side by side.

    python benchmarks/autograd.py [--rounds 15] [--problem notes|moons|all]

The three run one source: micrograd's MLP (ReLU, linear output), forward, backward and update. They
take turns in one process; a ratio is the median over rounds of the ratio within a round. Times are
processor time, which other programs disturb less. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import dis
import gc
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import micrograd.engine
import micrograd.nn

import hornbook.autograd as engine
from hornbook.autograd.node import graph

MICROGRAD = SimpleNamespace(**(vars(micrograd.engine) | vars(micrograd.nn)))


def squared_error(model: Any, xs: Any, ys: Any) -> Any:
    return sum((model(x) - y) ** 2 for x, y in zip(xs, ys, strict=True))


def margin(model: Any, xs: Any, ys: Any) -> Any:
    return sum((1 + -y * model(x)).relu() for x, y in zip(xs, ys, strict=True)) * (1 / len(xs))


@dataclass(frozen=True)
class Problem:
    name: str
    sizes: tuple[int, ...]
    xs: list[list[float]]
    ys: list[float]
    loss: Callable[[Any, Any, Any], Any]
    lr: float
    steps: int  # in one turn of micrograd; the others take more, so that turns are alike


NOTES = Problem(
    "notes 3-4-4-1, 4 examples",
    (3, 4, 4, 1),
    [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]],
    [1.0, -1.0, -1.0, 1.0],
    squared_error,
    0.001,
    steps=100,
)
MOONS = Problem(
    "moons 2-16-16-1, 32 examples",
    (2, 16, 16, 1),
    *engine.two_moons(32, seed=0),
    margin,
    0.05,
    steps=2,
)


class Contender:
    """A model of one library and one way to take its loss."""

    def __init__(self, problem: Problem, library: Any, compiled: bool = False) -> None:
        random.seed(1)
        self.problem = problem
        self.model = library.MLP(problem.sizes[0], list(problem.sizes[1:]))
        self.parameters = self.model.parameters()
        self.loss = lambda xs, ys: problem.loss(self.model, xs, ys)
        if compiled:
            self.loss = engine.compile(self.loss)

    def step(self) -> float:
        loss = self.loss(self.problem.xs, self.problem.ys)
        self.model.zero_grad()
        loss.backward()
        for p in self.parameters:
            p.data -= self.problem.lr * p.grad
        return float(loss.data)

    def seconds(self, steps: int) -> float:
        """Per step; the collector is on, and what it has to do for this library counts."""
        gc.collect()
        start = time.process_time()
        for _ in range(steps):
            self.step()
        return (time.process_time() - start) / steps


def measure(problem: Problem, rounds: int) -> dict[str, Any]:
    contenders = {
        "micrograd": Contender(problem, MICROGRAD),
        "eager": Contender(problem, engine),
        "compiled": Contender(problem, engine, compiled=True),
    }
    start = time.process_time()
    contenders["compiled"].loss(problem.xs, problem.ys)
    compile_seconds = time.process_time() - start
    losses = {name: [c.step() for _ in range(10)] for name, c in contenders.items()}
    turns = {"micrograd": 1, "eager": 4, "compiled": 40}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            times[name].append(contender.seconds(problem.steps * turns[name]))
    median = {name: statistics.median(times[name]) for name in times}
    (trace,) = contenders["compiled"].loss.traces.values()
    nodes = len(graph(contenders["eager"].loss(problem.xs, problem.ys)))
    operations = sum(
        i.opname in ("BINARY_OP", "UNARY_NEGATIVE") for i in dis.get_instructions(trace.run)
    )

    def ratio(slow: str, fast: str) -> float:
        return statistics.median(a / b for a, b in zip(times[slow], times[fast], strict=True))

    return {
        "problem": problem.name,
        "microseconds": {name: round(x * 1e6, 1) for name, x in median.items()},
        "eager_over_micrograd": round(ratio("micrograd", "eager"), 2),
        "compiled_over_micrograd": round(ratio("micrograd", "compiled"), 1),
        "compiled_over_eager": round(ratio("eager", "compiled"), 1),
        "compile_ms": round(compile_seconds * 1e3, 1),
        "pays_back_after_steps": {
            "of_eager": round(compile_seconds / (median["eager"] - median["compiled"])),
            "of_micrograd": round(compile_seconds / (median["micrograd"] - median["compiled"])),
        },
        "nodes": nodes,
        "ns_per_node": {name: round(x * 1e9 / nodes, 1) for name, x in median.items()},
        "compiled_operations": operations,
        "compiled_ns_per_operation": round(median["compiled"] * 1e9 / operations, 1),
        "compiled_losses_identical": losses["compiled"] == losses["eager"],
        "micrograd_losses_differ_by": max(
            abs(a - b) / abs(a) for a, b in zip(losses["micrograd"], losses["eager"], strict=True)
        ),
    }


def floors() -> dict[str, float]:
    """What CPython takes at least, in nanoseconds."""

    class Bare:
        __slots__ = ("data",)

        def __mul__(self, other: Bare) -> Bare:
            return Bare()

    a = b = Bare()
    x, y = 1.0000001, 0.9999999
    count = 200_000
    objects, arithmetic = [], []
    code = "def f(x, y):\n" + "    x = x * y + y\n    y = y * x + x\n" * 50 + "    return x, y\n"
    names: dict[str, Any] = {}
    exec(code, names)
    for _ in range(9):
        start = time.process_time()
        for _ in range(count):
            a * b
        middle = time.process_time()
        for _ in range(count // 200):
            names["f"](x, -y)
        end = time.process_time()
        objects.append((middle - start) / count)
        arithmetic.append((end - middle) / (count // 200 * 200))
    return {
        "operator_that_makes_an_empty_object_ns": round(min(objects) * 1e9, 1),
        "float_operation_on_locals_ns": round(min(arithmetic) * 1e9, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--problem", choices=["notes", "moons", "all"], default="all")
    options = parser.parse_args()
    problems = {"notes": [NOTES], "moons": [MOONS], "all": [NOTES, MOONS]}[options.problem]
    results = [measure(problem, options.rounds) for problem in problems]
    for r in results:
        print(
            f"\n{r['problem']}: {r['nodes']} nodes, {r['compiled_operations']} compiled operations"
        )
        print(f"{'':12}{'us/step':>12}{'ns/node':>10}{'x micrograd':>13}")
        over = {"micrograd": 1.0, "eager": r["eager_over_micrograd"]}
        over["compiled"] = r["compiled_over_micrograd"]
        for name, us in r["microseconds"].items():
            print(f"{name:12}{us:12.1f}{r['ns_per_node'][name]:10.1f}{over[name]:13.1f}")
        back, ns = r["pays_back_after_steps"], r["compiled_ns_per_operation"]
        print(
            f"compile: {r['compile_ms']} ms, paid back after {back['of_eager']} steps against "
            f"eager, {back['of_micrograd']} against micrograd; {ns} ns an operation"
        )
    least = floors()
    print(
        f"\nfloors in this CPython: {least['operator_that_makes_an_empty_object_ns']} ns for an "
        f"operator that makes an empty object, {least['float_operation_on_locals_ns']} ns for a "
        "float operation on local variables\n"
    )
    machine = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "rounds": options.rounds,
    }
    print(json.dumps({"results": results, "floors": least, **machine}))


if __name__ == "__main__":
    main()
