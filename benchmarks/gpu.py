"""What is measured of training on a CUDA device (`sh benchmarks/gpu.sh`), in one process.

    HORNBOOK_DATA=... python benchmarks/gpu.py losses|generation|target|share [--device cuda] [--tiny]

target: seconds of training until the notes' GPT (10.8 M parameters) has a validation loss of 1.47,
measured every 250 steps, evaluations not counted; the goal is 15 s on an H100 and 10 s on an H200.
Precision and compiling are as the plan decides. losses: of 50 steps in bf16 and in float32, from the
same weights and on the same batches. generation: of 10,000 characters by that GPT, after a first text
of 1,000. share: of the operations in bf16 that the device is made for, by size of the model. --tiny: a
small model and few steps, to see that it works. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from common import build_step, make_plan, train_steps, validation_loss

from hornbook.config import Nested, merge
from hornbook.engine.device import describe_device, find_device, peak_operations, synchronize
from hornbook.generate import stream
from hornbook.planning.plan import Plan

TARGET, EVERY = 1.47, 250
SIZES = {"10 M": (6, 384), "85 M": (12, 768), "300 M": (24, 1024)}  # blocks, channels
TINY: Nested = {
    "model": {"context_length": 32, "n_layer": 1, "n_head": 2, "n_embd": 32},
    "training": {"batch_size": 4, "steps": 6},
}


def notes_plan(device: str, *others: Nested) -> Plan:
    """The plan of the notes' GPT on Shakespeare."""
    settings = merge({"training": {"device": device}}, *others)
    return make_plan("shakespeare", preset="notes-gpt", settings=settings)


def operations(plan: Plan, parameters: int) -> float:
    """Floating-point operations of a step: 6 of a parameter and token, and those of attention."""
    model: Any = plan.config.model
    attention = 12 * model.n_layer * model.n_embd * model.context_length
    return float((6 * parameters + attention) * plan.tokens_per_step)


def share_of_peak(plan: Plan, parameters: int, seconds: float) -> float | None:
    """The share of the device's bf16 operations, where they are known."""
    peak = peak_operations(plan.device, "bf16") if plan.device.type == "cuda" else None
    return None if peak is None else operations(plan, parameters) / seconds / peak


def target(device: str, tiny: bool) -> dict[str, Any]:
    """The notes' GPT to its loss."""
    plan = notes_plan(device, TINY if tiny else {})
    step, steps = build_step(plan), plan.config.training.steps
    every = 2 if tiny else EVERY
    warm = train_steps(plan, step, 0, 1)  # the first step compiles
    seconds, loss, done = 0.0, float("inf"), 1
    while done < steps and loss > TARGET:
        until = min(done // every * every + every, steps)
        seconds += train_steps(plan, step, done, until)
        done, loss = until, validation_loss(plan, step)
        print(f"step {done:5}  {seconds:6.2f} s  validation {loss:.4f}", flush=True)
    each = seconds / (done - 1)
    return {
        "reached": loss <= TARGET,
        "loss": round(loss, 4),
        "steps": done,
        "seconds": round(seconds, 3),
        "first_step_s": round(warm, 2),
        "step_ms": round(1000 * each, 3),
        "precision": plan.precision,
        "compiled": plan.compiled,
        "why": {name: plan.decisions[name].reason for name in ("precision", "compiled")},
        "share_of_bf16_peak": share_of_peak(plan, step.model.n_parameters, each),
    }


def losses(device: str, tiny: bool) -> dict[str, Any]:
    """bf16 beside float32."""
    steps = 4 if tiny else 50
    still: Nested = {"model": {"dropout": 0.0, "attention_dropout": 0.0}}
    found = {}
    for precision in ("fp32", "bf16"):
        fixed: Nested = {"training": {"precision": precision, "compile": "no"}}
        plan = notes_plan(device, TINY if tiny else {}, still, fixed)
        step = build_step(plan)
        step.model.train()
        found[precision] = [float(step(i)[0]) for i in range(steps)]
    apart = [abs(a - b) for a, b in zip(found["fp32"], found["bf16"], strict=True)]
    print(
        f"{steps} steps: losses differ by at most {max(apart):.2e}, at the end by {apart[-1]:.2e}"
    )
    return {"steps": steps, "most": max(apart), "last": {k: v[-1] for k, v in found.items()}}


def share(device: str, tiny: bool) -> dict[str, Any]:
    """Steps of larger models."""
    found: dict[str, Any] = {}
    for name, (blocks, channels) in (SIZES if not tiny else {"tiny": (1, 32)}).items():
        heads = max(2, channels // 64)
        sizes: Nested = {
            "model": {
                "n_layer": blocks, "n_embd": channels, "n_head": heads, "dropout": 0.0,
                "attention_dropout": 0.0,
            },
            "training": {"steps": 40, "compile": "no" if tiny else "yes"},
        }  # fmt: skip
        plan = notes_plan(device, TINY if tiny else {}, sizes)
        plan = replace(plan, precision="bf16")
        step = build_step(plan)
        train_steps(plan, step, 0, 3)
        n = 2 if tiny else 20
        each = train_steps(plan, step, 3, 3 + n) / n
        parameters = step.model.n_parameters
        reached = share_of_peak(plan, parameters, each)
        print(f"{name:6} {1000 * each:8.2f} ms  {reached or 0:6.1%} of the bf16 peak", flush=True)
        found[name] = {"parameters": parameters, "step_ms": 1000 * each, "share": reached}
        del step
        if plan.device.type == "cuda":
            torch.cuda.empty_cache()
    return found


def generation(device: str, tiny: bool) -> dict[str, Any]:
    """One long text by fresh weights."""
    plan = notes_plan(device, TINY if tiny else {})
    model, tokenizer = plan.build_model().eval(), plan.data.tokenizer
    characters = 100 if tiny else 10_000
    list(stream(model, tokenizer, max_tokens=characters // 10, prompt="A"))
    synchronize(plan.device)
    begin = time.perf_counter()
    written = sum(
        len(piece) for piece in stream(model, tokenizer, max_tokens=characters, prompt="A")
    )
    synchronize(plan.device)
    seconds = time.perf_counter() - begin
    print(f"{written:,} characters in {seconds:.2f} s, {written / seconds:,.0f} a second")
    return {"characters": written, "seconds": seconds}


PARTS: dict[str, Callable[[str, bool], dict[str, Any]]] = {
    "losses": losses, "generation": generation, "target": target, "share": share,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    found = PARTS[arguments.part](arguments.device, arguments.tiny)
    name = describe_device(find_device(arguments.device))
    print(json.dumps({"part": arguments.part, "device": name, "torch": torch.__version__, **found}))


if __name__ == "__main__":
    main()
