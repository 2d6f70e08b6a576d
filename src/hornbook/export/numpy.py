"""A run as one readable program that needs NumPy alone: `sample.py`, its weights and its tokenizer.

The program is joined from the files of `export/lesson/` that the model needs. It contains nothing of
the run: settings and weights are data in `model.safetensors`.
"""

from __future__ import annotations

import ast
import functools
import io
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hornbook.errors import RunError
from hornbook.export.base import (
    Check,
    Written,
    every_symbol,
    measured_tokens,
    random_rows,
    relative_difference,
    rounding_cost,
)
from hornbook.files import write_bytes, write_tensors
from hornbook.generate import Sampling, sample
from hornbook.models.base import LanguageModel
from hornbook.models.hybrid import Hybrid
from hornbook.models.kneser_ney import SMALLEST, KneserNey
from hornbook.models.mixture import Mixture
from hornbook.models.ngram import NGram
from hornbook.runs.directory import StoredRun

PROGRAM = None
INSTALL = "hornbook"
DTYPES = ("f32", "f16")
SUFFIX = ""

LESSON = Path(__file__).with_name("lesson")
PACKAGE = "hornbook.export.lesson"
FILES = {"lstm": "rnn", "gru": "rnn", "ngram": "counts"}  # the others are named as their model
WITHIN = {"f32": 1e-4, "f16": 2e-2}  # differences of logits, relative to their spread
PYTHON = (sys.executable, "-I", "-X", "utf8")  # without the environment and the working directory
TITLE = '''"""Samples from a language model, with NumPy alone. Written by hornbook, to be read.

    python sample.py
    python sample.py -n 3 --temperature 0.8 --seed 1

The weights are in model.safetensors and the tokenizer is in tokenizer.json, beside this file.
The parts, in this order: {parts}.
"""
'''
LOAD = """
import io, runpy, sys, time
sys.modules["torch"] = sys.modules["hornbook"] = None  # importing them fails
import numpy as np
from pathlib import Path
folder = Path(sys.argv[1])
model, tokenizer = runpy.run_path(folder / "sample.py")["load"](folder)
"""
LOGITS = """
rows, found = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False), []
for row in rows.tolist():
    found.append([model.start(row[:1]), *map(model.step, row[1:])])
buffer = io.BytesIO()
np.save(buffer, np.array(found))
sys.stdout.buffer.write(buffer.getvalue())
"""
TOKENS = """
print(tokenizer.encode(sys.stdin.buffer.read().decode("utf-8", "surrogatepass")))
"""
SPEED = """
for _ in range(4):
    begin = time.perf_counter()
    logits = model.start(tokenizer.start(""))
    for _ in range(int(sys.argv[2]) - 1):
        if tokenizer.end_id is not None:
            logits[tokenizer.end_id] = -np.inf
        logits = model.step(int(logits.argmax()))
    print(int(sys.argv[2]) / (time.perf_counter() - begin))
"""


def write(run: StoredRun, out: Path, dtype: str) -> Written:
    """Writes the folder."""
    weights, config = contents(run.model)
    notes = []
    if dtype == "f16":  # of what is trained; counts and statistics keep their dtype
        trained = dict(run.model.named_parameters())
        weights = {n: w.half() if n in trained else w for n, w in weights.items()}
        rounded = {n: w.half().to(w.dtype) for n, w in trained.items()}
        notes += [rounding_cost(run, run.model, rounded)] if rounded else []
    out.mkdir(parents=True)
    settings = run.config.generation
    write_tensors(
        out / "model.safetensors",
        {name: narrowed(tensor) for name, tensor in weights.items()},
        {"model": json.dumps(config), "window": settings.window},
    )
    run.tokenizer.save(out / "tokenizer.json")
    write_bytes(out / "sample.py", program(config, run.tokenizer.kind).encode())
    if settings.sampling == "torch":
        notes.append(
            "a seed draws other samples than `hornbook sample`, whose draws are torch's own for this "
            "run; `hornbook sample --sampling keyed` draws the same"
        )
    return Written(out, dtype, tuple(notes))


def speed(run: StoredRun, written: Written) -> float:
    """Tokens per second of the program, most probable ones, one after the other."""
    n = measured_tokens(run.model)
    speeds = [float(each) for each in _run_python(SPEED, written.path, str(n)).split()]
    return statistics.median(speeds[1:])


def check(run: StoredRun, written: Written) -> list[Check]:
    """Runs the program where neither torch nor hornbook can be imported."""
    program = f"NumPy {np.__version__}"
    rows = random_rows(run)
    with torch.inference_mode():
        expected = run.model(rows)
    found = torch.from_numpy(np.load(io.BytesIO(run_driver(written.path, rows))))
    difference = relative_difference(expected.clamp(min=-100), found.clamp(min=-100))
    what = f"logits at {rows.numel():,} positions, token by token"
    checks = [Check(program, what, difference <= WITHIN[written.dtype], difference)]
    ids = run.tokenizer.encode(every_symbol(run), unknown="skip")
    text = run.tokenizer.decode_bytes(ids)  # what it knows of it
    same = json.loads(_run_python(TOKENS, written.path, given=text)) == ids.tolist()
    checks.append(Check(program, f"{len(ids):,} tokens of a text with every symbol", same))
    if written.dtype == "f32":
        n, most = 4, 100
        own = sample(
            run.model, run.tokenizer, n=n, max_tokens=most, sampling=Sampling(), seed=1,
            window=run.config.generation.window,
        )  # fmt: skip
        between = "\n" if run.documents else "\n---\n"
        printed = between.join(s.text for s in own) + "\n"
        arguments = ["-n", str(n), "--max-tokens", str(most), "--seed", "1"]
        command = [*PYTHON, str(written.path / "sample.py"), *arguments]
        same = _run(command).decode("utf-8").replace("\r\n", "\n") == printed
        checks.append(Check(program, f"{n} samples of the seed 1", same))
    return checks


def run_driver(folder: Path, rows: Tensor) -> bytes:
    """The logits of rows (B, T) by the program in a folder, as a .npy file of (B, T, V)."""
    ids = io.BytesIO()
    np.save(ids, rows.numpy())
    return _run_python(LOGITS, folder, given=ids.getvalue())


def _run_python(program: str, folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    return _run([*PYTHON, "-c", LOAD + program, str(folder), *arguments], given)


def _run(command: list[str], given: bytes = b"") -> bytes:
    """Its output. Raises RunError where it fails."""
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
        raise RunError(f"the program failed: {last[0]}; report it as a defect of hornbook")
    return done.stdout


@functools.singledispatch
def contents(model: LanguageModel) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights and the settings of a model, as its lesson reads them."""
    return dict(model.state_dict()), model.config.model_dump(mode="json")


@contents.register
def _(model: NGram) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return dict(model.state_dict()), {"name": "ngram", "order": model.order, "smallest": 0.0}


@contents.register
def _(model: KneserNey) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The form of an n-gram model, with what was counted after each context beside it."""
    weights: dict[str, Tensor] = {}
    for length in range(model.order):
        table = {
            name: model.get_buffer(f"{name}_{length}")
            for name in ("keys", "offsets", "next", "left", "total", "freed")
        }
        share = (1 / table["total"]).masked_fill(table["total"] <= 0, 0.0)  # of one count
        counted = table["offsets"].diff()
        tables = {
            "keys": table["keys"],
            "offsets": table["offsets"],
            "next": table["next"],
            "backoff": (table["freed"] * share).masked_fill(table["total"] <= 0, 1.0),
            "value": table["left"] * share.repeat_interleave(counted),
            "total": table["total"],
        }
        weights |= {f"{name}_{length}": tensor for name, tensor in tables.items()}
    return weights, {"name": "ngram", "order": model.order, "smallest": SMALLEST}


@contents.register
def _(model: Mixture) -> tuple[dict[str, Tensor], dict[str, Any]]:
    weights: dict[str, Tensor] = {}
    components = []
    for i, part in enumerate(model.components):
        own, config = contents(part)
        weights |= prefixed(own, f"models.{i}.")
        components.append(config)
    config = model.config.model_dump(mode="json")
    return weights, {**config, "components": components}


@contents.register
def _(model: Hybrid) -> tuple[dict[str, Tensor], dict[str, Any]]:
    counts, counts_config = contents(model.counts)
    network, network_config = contents(model.network)
    weights = {
        n: t for n, t in model.state_dict().items() if not n.startswith(("counts.", "network."))
    }
    weights |= prefixed(counts, "counts.") | prefixed(network, "network.")
    config = model.config.model_dump(mode="json")
    return weights, {**config, "counts": counts_config, "network": network_config}


def prefixed(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The same weights under longer names."""
    return {prefix + name: tensor for name, tensor in weights.items()}


def narrowed(tensor: Tensor) -> Tensor:
    """Whole numbers in the smallest dtype that holds them."""
    if tensor.is_floating_point():
        return tensor
    low, high = (int(tensor.min()), int(tensor.max())) if tensor.numel() else (0, 0)
    for dtype in (torch.uint8, torch.int16, torch.int32):
        if torch.iinfo(dtype).min <= low and high <= torch.iinfo(dtype).max:
            return tensor.to(dtype)
    return tensor


def program(config: dict[str, Any], tokenizer: str) -> str:
    """The source of `sample.py` for a model with these settings and a kind of tokenizer."""
    files: list[str] = []
    text = ["text", "bpe"] if tokenizer == "bpe" else ["text"]
    for name in [*text, *_models(config), "main"]:
        for file in _needed(FILES.get(name, name)):
            if file not in files:
                files.append(file)
    imports, bodies, parts = set[str](), [], []
    for file in files:
        title, own, body = _divided(file)
        imports |= own
        parts.append(file)
        banner = "\n".join(f"# {line}".rstrip() for line in title.strip().splitlines())
        bodies.append(f"# {'-' * 96}\n{banner}\n\n\n{body.strip()}\n")
    head = TITLE.format(parts=", ".join(parts).replace("_", " "))
    return "\n\n".join([f"{head}\n{_sorted(imports)}", *bodies])


def _models(config: dict[str, Any]) -> list[str]:
    """The names of the models that a configuration names, the innermost first."""
    parts = [
        *config.get("components", ()),
        *(config[k] for k in ("counts", "network") if k in config),
    ]
    return [name for part in parts for name in _models(part)] + [config["name"]]


def _needed(file: str) -> list[str]:
    """The files of the lesson that one imports, in the order in which they must stand, and itself."""
    needed = []
    for node in ast.parse(_source(file)).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            needed += _needed(str(node.module).removeprefix(f"{PACKAGE}."))
    return list(dict.fromkeys([*needed, file]))


def _divided(file: str) -> tuple[str, set[str], str]:
    """The docstring of a file of the lesson, its imports from elsewhere, and the rest."""
    source = _source(file)
    tree, imports, end = ast.parse(source), set[str](), 0
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            end = node.end_lineno or 0
            if not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE)):
                imports.add(ast.unparse(node))
    body = "\n".join(source.splitlines()[end:])
    return ast.get_docstring(tree) or "", imports, re.sub(r"  # (noqa|fmt).*", "", body)


def _source(file: str) -> str:
    return (LESSON / f"{file}.py").read_text("utf-8")


def _sorted(imports: set[str]) -> str:
    """Import statements in the usual order, names of one module in one statement."""
    names: dict[str, set[str]] = {}
    plain = set()
    for line in imports:
        if found := re.fullmatch(r"from (\S+) import (.+)", line):
            names.setdefault(found[1], set()).update(found[2].split(", "))
        else:
            plain.add(line)
    future = names.pop("__future__")
    lines = sorted(plain - {"import numpy as np"})
    lines += [
        f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names)
    ]
    head = f"from __future__ import {', '.join(future)}"
    return "\n".join([head, "", *lines, "", "import numpy as np"])
