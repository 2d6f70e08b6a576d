"""Exports: every model in every target, compared with the program that reads it.

    python benchmarks/exports.py [--models gpt ...] [--targets hf ...] [--dtypes f32 ...] [--no-speed]

Trains a small run of each model, exports it to each target in each of its dtypes, and prints the table
of docs/export.md: the largest difference of logits at 1,000 random positions, relative to their
spread; whether a text with every symbol has equal tokens; the change of the loss by rounded weights,
on the validation part; the size of the export; tokens per second of the most probable text, one after
the other, there and here. Targets whose program is not installed are left out, and a model that a
target does not take has a row that says so. Then the differences in f32 once more, a row for each model
(`--matrix FILE ...` prints these alone, of several outputs together), and a JSON line last.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import re
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from hornbook.api import Run, train
from hornbook.config import Nested
from hornbook.errors import ConfigError
from hornbook.experiments.mixture import mix
from hornbook.export.base import tokens_per_second
from hornbook.export.targets import TARGETS

MODELS: dict[str, tuple[str, Nested]] = {  # by its name in the table: the model and its settings
    "gpt": ("gpt", {}),
    "gpt, tied, one kv head": ("gpt", {"model": {"tie_embeddings": True, "n_kv_head": 1}}),
    "gpt, bytes": ("gpt", {"tokenizer": {"kind": "byte"}}),
    "gpt, Shakespeare": ("gpt", {"data": {"corpus": "shakespeare"}}),
    "gpt, convolution and pairs": ("gpt", {"model": {"conv_kernel": 3, "pair_embedding": True}}),
    "gpt2, ReLU": ("gpt2", {"model": {"n_layer": 3, "n_head": 4, "n_embd": 96}}),
    "gpt2, GELU": (
        "gpt2",
        {"model": {"n_layer": 3, "n_head": 4, "n_embd": 96, "activation": "gelu"}},
    ),
    **{
        name: (name, {})
        for name in ("hybrid", "mlp", "wavenet", "rnn", "lstm", "gru", "bow", "bigram", "ngram")
    },
    "mixture": ("mixture", {}),
}


def make_run(name: str, folder: Path, steps: int) -> Run:
    """A small run on names (or what the settings say)."""
    model, settings = MODELS[name]
    out = folder / re.sub(r"\W+", "-", name)
    if model == "mixture":
        mix([make_run(part, folder / "parts", steps) for part in ("gpt", "ngram")], out=out)
        return Run.load(out)
    corpus = str(settings.get("data", {}).get("corpus", "names"))
    training = {"steps": steps, "eval_count": 1, "sample_count": 0, "threads": 1}
    return train(
        corpus,
        model=model,
        out=out,
        precision="fp32",
        settings={**settings, "data": {}, "training": {} if model == "ngram" else training},
    )


def installed(targets: list[str]) -> dict[str, ModuleType]:
    """The targets that are there, with their programs."""
    found = {}
    for name in targets:
        module = f"hornbook.export.{TARGETS[name]}"
        if importlib.util.find_spec(module) is None:
            continue
        target = importlib.import_module(module)
        if target.PROGRAM is None or importlib.util.find_spec(target.PROGRAM) is not None:
            found[name] = target
    return found


def size(path: Path) -> int:
    """Bytes of a file, or of all in a directory."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(p.stat().st_size for p in files)


def measure(run: Run, name: str, to: str, target: ModuleType, dtype: str, speed: bool) -> Any:
    """One row of the table, as data."""
    row: dict[str, Any] = {"model": name, "target": to, "dtype": dtype}
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = run.export(to, Path(folder) / f"export{target.SUFFIX}", dtype=dtype)
        except ConfigError as error:
            return {**row, "refused": str(error)}
        cost = [note for note in made.written.notes if "bits per byte" in note]
        change = re.search(r"by ([-+][\d.e-]+) bits", cost[0]) if cost else None
        tokens = [check.equal for check in made.checks if "tokens of a text" in check.what]
        row |= {
            "program": made.checks[0].program if made.checks else None,
            "difference": max(
                (c.difference for c in made.checks if c.difference is not None), default=None
            ),
            "tokens": all(tokens) if tokens else None,
            "equal": all(check.equal for check in made.checks),
            "bits": float(change[1]) if change else None,
            "bytes": size(made.path),
        }
        write = getattr(target, "speed", None)
        row["there"] = write(run, made.written) if speed and write else None
    return row


HEAD = ("model", "target", "difference", "tokens", "change in bits per byte", "kB")
SPEEDS = ("tokens/s there", "here")


def head(*, speed: bool) -> str:
    """The first rows of Markdown."""
    columns = HEAD + (SPEEDS if speed else ())
    return f"| {' | '.join(columns)} |\n| --- | --- |{' ---: |' * (len(columns) - 2)}"


def line(row: dict[str, Any], *, speed: bool) -> str:
    """A row of Markdown."""
    begin = f"| {row['model']} | {row['target']} {row['dtype']} |"
    if "refused" in row:
        return f"{begin} not possible |{' |' * (len(HEAD) - 3 + (len(SPEEDS) if speed else 0))}"

    def cell(key: str, spec: str) -> str:
        return "" if row.get(key) is None else format(row[key], spec)

    tokens = {True: "equal", False: "NOT equal", None: ""}[row["tokens"]]
    kB = row["bytes"] / 1000  # noqa: N806
    found = f"{begin} {cell('difference', '.1e')} | {tokens} | {cell('bits', '+.0e')} | {kB:,.0f} |"
    return f"{found} {cell('there', ',.0f')} | {cell('here', ',.0f')} |" if speed else found


def matrix(rows: list[dict[str, Any]]) -> str:
    """The differences in f32 as Markdown: a row for each model, a column for each target."""
    found = {(row["model"], row["target"]): row for row in rows if row["dtype"] == "f32"}
    targets = [name for name in TARGETS if any(target == name for _, target in found)]

    def cell(row: dict[str, Any] | None) -> str:
        if row is not None and "refused" in row:
            return "not possible"
        if row is None or row["difference"] is None:
            return ""
        return f"{row['difference']:.1e}" + ("" if row["equal"] else " (NOT equal)")

    lines = [f"| model | {' | '.join(targets)} |", f"| --- |{' ---: |' * len(targets)}"]
    for name in dict.fromkeys(model for model, _ in found):
        cells = [cell(found.get((name, target))) for target in targets]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--dtypes", nargs="+", help="of each target's; by default all")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--matrix", nargs="+", type=Path, help="of what was printed before: f32")
    args = parser.parse_args()
    if args.matrix:
        earlier = [json.loads(path.read_text().splitlines()[-1])["rows"] for path in args.matrix]
        print(matrix([row for rows in earlier for row in rows]))
        return
    torch.set_num_threads(1)
    rows = []
    speed = not args.no_speed
    print(head(speed=speed))
    with tempfile.TemporaryDirectory() as folder:
        for name in args.models:
            if "Shakespeare" in name and not os.environ.get("HORNBOOK_DATA"):
                continue
            run = make_run(name, Path(folder), args.steps)
            here = tokens_per_second(run) if speed else None
            for to, target in installed(args.targets).items():
                for dtype in [d for d in target.DTYPES if d in (args.dtypes or target.DTYPES)]:
                    row = measure(run, name, to, target, dtype, speed)
                    rows.append({**row, "here": here})
                    print(line(rows[-1], speed=speed), flush=True)
                    if "refused" in row:
                        break  # the other dtypes are refused, too
    print(f"\n{matrix(rows)}\n")
    about = {"torch": torch.__version__, "python": platform.python_version(), "steps": args.steps}
    print(json.dumps({**about, "rows": rows}))


if __name__ == "__main__":
    main()
