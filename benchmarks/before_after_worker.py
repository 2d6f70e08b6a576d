"""One side of `before_after.py`: a process under PYTHONPATH=SRC that works with both versions' APIs.

Each line on stdin is a JSON list, [task, arguments]. The task is prepared unless it is the one of the
line before, then makes one turn; its figures are printed as a JSON line, `{"error": ...}` if it fails.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import hornbook
from hornbook.machine import freed_memory_kept
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_model, model_config
from hornbook.tokenizers import build_tokenizer

IS_NEW = importlib.util.find_spec("hornbook.planning") is not None
Figures = dict[str, float]
Turn = Callable[[], Figures]


def build_step(
    corpus: str | None = None,
    *,
    model: str | None = None,
    preset: str | None = None,
    settings: dict[str, dict[str, Any]],
    threads: int | None = None,
    compiled: bool = False,
) -> tuple[Any, Callable[[int], int], int]:
    """The steps of a plan, a function that makes one call from a step on and returns how many it made,
    and the threads. threads: fixed; None as the version decides."""
    if IS_NEW:
        from hornbook.engine.step import OptimizerStep
        from hornbook.planning.request import read_request
        from hornbook.planning.resolve import resolve

        fields = {**settings, "training": {**settings["training"], "threads": threads or "auto"}}
        plan = resolve(read_request(corpus, model=model, preset=preset, settings=fields))
        step = OptimizerStep(
            plan.build_model().train(), plan.build_batches(), plan.config, plan.precision,
            "steps" if compiled else "no",
        )  # fmt: skip
        return step, lambda i: len(step.advance(i, i + step.span)), plan.threads
    from hornbook.training.plan import make_plan
    from hornbook.training.step import TrainStep

    plan = make_plan(corpus, model=model, preset=preset, settings=settings)
    form = "updates" if compiled else "no"
    step = TrainStep(plan.model.train(), plan.batches, plan.config, plan.precision, form)
    return step, lambda i: len(step.several(i)), threads or torch.get_num_threads()


@contextmanager
def use_threads(n: int) -> Iterator[None]:
    """Computes with n CPU threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def timed_steps(advance: Callable[[int], int], threads: int, seconds: float) -> Callable[[], float]:
    """A function that makes steps for about so many seconds and returns those of one."""
    made = 0

    def run(n: int) -> float:
        nonlocal made
        with freed_memory_kept(), use_threads(threads):
            first, begin = made, time.perf_counter()
            while made < first + n:
                made += advance(made)
            return (time.perf_counter() - begin) / (made - first)

    run(3)  # warms up
    n = max(1, int(seconds / run(3)))
    return lambda: run(n)


def one_step(
    model: str, corpus: str, kind: str, threads: int, seconds: float, precision: str = "fp32"
) -> Turn:
    """Steps of a model's default settings."""
    settings = {"data": {"kind": kind}, "training": {"precision": precision, "compile": "no"}}
    preset = "gpt2-stream" if (model, kind) == ("gpt2", "stream") else None
    step, _, _ = build_step(corpus, model=model, preset=preset, settings=settings, threads=threads)
    take = timed_steps(lambda i: len([step(i)]), threads, seconds)
    return lambda: {"ms": 1e3 * take()}


def notes_step(preset: str, compiled: bool, seconds: float) -> Turn:
    """Steps of the notes' small models as a run of the version makes them, or compiled."""
    settings = {"training": {"precision": "fp32", "compile": "no"}}
    _, advance, threads = build_step(preset=preset, settings=settings, compiled=compiled)
    begin = time.perf_counter()
    if advance(0) == 1 and compiled:
        raise RuntimeError("the steps could not be compiled")
    compiling = {"compiling_s": time.perf_counter() - begin} if compiled else {}
    take = timed_steps(advance, threads, seconds)
    return lambda: {"us": 1e6 * take(), **compiling}


def notes_gpt(rows: int, dropout: float) -> Turn:
    """Whole steps of the notes' GPT, and the peak of memory above that of the imports."""
    importlib.import_module("torch._dynamo")  # or the first optimizer would
    before = peak_mib()
    settings = {
        "model": {"dropout": dropout, "attention_dropout": dropout},
        "training": {"batch_size": rows, "precision": "fp32", "compile": "no"},
    }
    _, advance, threads = build_step(preset="notes-gpt", settings=settings)
    take = timed_steps(advance, threads, 0.0)
    return lambda: {"s": take(), "peak_mib": peak_mib() - before}


def peak_mib() -> float:
    """The most memory that this process has held."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


def names(run: str, n: int) -> Turn:
    """Samples of a run."""
    loaded = hornbook.load(run)
    loaded.sample(n, seed=0)

    def turn() -> Figures:
        begin = time.perf_counter()
        made = len(loaded.sample(n, seed=0))
        return {"per_second": made / (time.perf_counter() - begin)}

    return turn


def characters(n: int) -> Turn:
    """n characters of the notes' GPT (10.8 M parameters, fresh weights) after a full context."""
    from hornbook.generate import stream

    model, tokenizer = fresh_gpt(), alphabet()
    prompt = "A" * model.context_length
    generator = torch.Generator()

    def turn() -> Figures:
        generator.manual_seed(0)
        written = stream(model, tokenizer, prompt=prompt, max_tokens=n + 1, generator=generator)
        next(written)  # reads the prompt
        begin = time.perf_counter()
        count = sum(len(piece) for piece in written)
        return {"ms": 1e3 * (time.perf_counter() - begin) / count}

    return turn


def fresh_gpt() -> LanguageModel:
    """The notes' GPT as a run of the version has it."""
    presets = importlib.import_module("hornbook.config.presets" if IS_NEW else "hornbook.presets")
    torch.manual_seed(0)
    model = build_model(model_config(presets.named("notes-gpt")["model"]), 65, None).eval()
    if IS_NEW:
        from hornbook.kernels.install import install

        install(model)
    return model


def alphabet() -> Any:
    """65 characters of a stream."""
    return build_tokenizer("char", "".join(map(chr, range(40, 105))), documents=False)


TASKS: dict[str, Callable[..., Turn]] = {
    "step": one_step,
    "notes_step": notes_step,
    "notes_gpt": notes_gpt,
    "names": names,
    "characters": characters,
}


def main() -> None:
    """Answers until stdin ends."""
    source = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0]).resolve()
    assert source in Path(hornbook.__file__).resolve().parents, f"{source} is not what is imported"
    last = ""
    for line in sys.stdin:
        try:
            if line != last:
                task, arguments = json.loads(line)
                turn = TASKS[task](**arguments)
                last = line
            print(json.dumps(turn()), flush=True)
        except Exception as error:
            last = ""
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
