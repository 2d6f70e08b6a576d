"""A GPT that adds two numbers of two digits: how many sums of a held-out part it gets exactly right.

    python examples/adding.py [--reversed] [--steps N]

The exercise of the lectures: train on prompts such as `47+85=` with the answer `132`. The loss is on
the answers alone (docs/texts.md). With --reversed the digits of an answer are written from the last
one on, `231`, which is easier: each digit then follows from the digits of its place and one carry,
whereas the first digit of a sum depends on all of them.

All 10,000 pairs of numbers from 0 to 99 are made; 80% are trained on, and the sums of the test part,
which no step and no choice has read, are answered with the likeliest tokens.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import hornbook

SETTINGS = {
    "model.n_layer": 2,
    "model.n_head": 4,
    "model.n_kv_head": 4,
    "model.n_embd": 64,
    "model.context_length": 16,
    "model.dropout": 0.0,
    "training.batch_size": 64,
    "training.sample_count": 0,
}


def write_sums(path: Path, *, backwards: bool) -> None:
    """All sums of two numbers below 100 as prompts and completions, one JSON object a line."""
    with path.open("w", encoding="utf-8") as file:
        for a in range(100):
            for b in range(100):
                answer = str(a + b)[:: -1 if backwards else 1]
                file.write(json.dumps({"prompt": f"{a:02d}+{b:02d}=", "completion": answer}) + "\n")


def exact(run: hornbook.Run, *, backwards: bool, most: int = 1000) -> float:
    """The share of the sums of the test part that a run gets exactly right."""
    found = 0
    prompts = [text.partition("=")[0] + "=" for text in run.split().test[:most]]
    for prompt in prompts:
        a, b = int(prompt[:2]), int(prompt[3:5])
        answer = run.answer(prompt, max_tokens=4)
        found += answer == str(a + b)[:: -1 if backwards else 1]
    return found / len(prompts)


def main(steps: int = 6000, *, backwards: bool = False, out: str | None = None) -> float:
    """Trains, and prints and returns the share of exact answers."""
    folder = Path(out or tempfile.mkdtemp(prefix="adding-"))
    write_sums(folder / "sums.jsonl", backwards=backwards)
    settings = {**SETTINGS, "training.steps": steps}
    run = hornbook.train(folder / "sums.jsonl", out=folder / "run", settings=settings)
    share = exact(run, backwards=backwards)
    words = "written from the last digit on" if backwards else "written as usual"
    print(f"{share:.1%} of {len(run.split().test[:1000]):,} test sums exactly right, {words}")
    print(f"{run.answer('47+85=')!r} is the answer to 47+85=; the run is in {run.path}")
    return share


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Trains a GPT to add.")
    parser.add_argument("--reversed", action="store_true", help="answers from their last digit on")
    parser.add_argument("--steps", type=int, default=6000)
    args = parser.parse_args()
    main(args.steps, backwards=args.reversed)
