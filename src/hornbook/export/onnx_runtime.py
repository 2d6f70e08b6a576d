"""What `export/onnx.py` wrote, run by ONNX Runtime and compared with the model.

B batch, T positions, V vocabulary.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hornbook.export.base import (
    Check,
    Written,
    every_symbol,
    greedy_text,
    measured_tokens,
    median_speed,
    random_rows,
    relative_difference,
)
from hornbook.export.onnx_cache import BATCH
from hornbook.generate.decoder import prompt_ids
from hornbook.runs.directory import StoredRun

FORWARD, CACHED = "forward.onnx", "onnx/model.onnx"
WITHIN = {"f32": 1e-4, "f16": 2e-2}  # differences of logits, relative to their spread
STEPS = 8  # compared with the cache
SMALLEST = -100.0  # logits are compared from here up: counts without smoothing have -inf


def check(run: StoredRun, written: Written) -> list[Check]:
    """Compares rows of random lengths, packed documents, reading with the cache, tokens and the
    greedy text."""
    onnxruntime = importlib.import_module("onnxruntime")
    program, within = f"onnxruntime {onnxruntime.__version__}", WITHIN[written.dtype]
    forward, cached = _session(written.path / FORWARD), written.path / CACHED

    def compared(what: str, pairs: Sequence[tuple[Tensor, Tensor]]) -> Check:
        rows = (torch.cat([x.flatten(0, -2) for x in each]) for each in zip(*pairs, strict=True))
        expected, found = (each.clamp(min=SMALLEST) for each in rows)
        difference = relative_difference(expected, found)
        what = f"logits at {len(expected):,} positions, {what}"
        return Check(program, what, difference <= within, difference)

    with torch.inference_mode():
        rows = [*rows_of_random_lengths(run)]
        pairs = [(run.model(each), _logits(forward, each)) for each in rows]
        checks = [compared("random batches and lengths", pairs)]
        packed = packed_rows(run)
        if packed is not None:
            checks.append(
                compared("packed documents", [(run.model(packed), _logits(forward, packed))])
            )
        if cached.exists():
            checks.append(compared("token by token", cached_logits(run, cached)))
    start, text = greedy_text(run)
    found = []
    for token in continuation(written.path, run, start):
        found.append(token)
        if token == run.tokenizer.end_id or len(found) == len(text):
            break
    if written.dtype == "f32":
        checks.append(Check(program, f"{len(text)} tokens of the greedy text", found == text))
    if importlib.util.find_spec("tokenizers") is not None:
        checks.append(same_tokens(run, written.path / "tokenizer.json"))
    return checks


def speed(run: StoredRun, written: Written) -> float:
    """Tokens per second, most probable ones, one after the other, without an end."""
    start, n = prompt_ids(run.tokenizer, ""), measured_tokens(run.model)

    def write() -> int:
        tokens = continuation(written.path, run, start, without_end=True)
        return sum(1 for _ in zip(range(n), tokens, strict=False))

    return median_speed(write)


def continuation(
    folder: Path, run: StoredRun, start: Sequence[int], *, without_end: bool = False
) -> Iterator[int]:
    """The most probable tokens after some, by the graph with a cache if there is one.

    without_end: never the end of a document.
    """
    cached = (folder / CACHED).exists()
    session = _session(folder / (CACHED if cached else FORWARD))
    several = isinstance(session.get_inputs()[0].shape[1], str)
    ids, past = list(start), empty_past(session, 1)
    unread = list(start)
    while True:
        reads = [unread] if several else [[token] for token in unread]
        if not cached:
            reads = [ids[-run.model.context_length :]]
        for read in reads:
            logits, *present = session.run(None, {"input_ids": np.array([read]), **past})
            past = dict(zip(past, present, strict=True))
        last = logits[0, -1]
        if without_end and run.tokenizer.end_id is not None:
            last[run.tokenizer.end_id] = -np.inf
        unread = [int(last.argmax())]
        ids += unread
        yield unread[0]


def same_tokens(run: StoredRun, path: Path) -> Check:
    """Whether the package tokenizers reads a text with every symbol as the run does."""
    tokenizers = importlib.import_module("tokenizers")
    text, program = every_symbol(run), f"tokenizers {tokenizers.__version__}"
    expected = run.tokenizer.encode(text, unknown="skip").tolist()
    if run.tokenizer.end_id is not None:
        expected = [run.tokenizer.end_id, *expected]
    found = tokenizers.Tokenizer.from_file(str(path)).encode(text).ids
    return Check(
        program, f"{len(expected):,} tokens of a text with every symbol", found == expected
    )


def rows_of_random_lengths(run: StoredRun) -> Iterator[Tensor]:
    """Batches of random ids, (B, T) each: the shortest and the longest rows, and some between."""
    whole = random_rows(run)
    generator = torch.Generator().manual_seed(len(whole))
    yield whole
    yield whole[:1, :1]
    for _ in range(3):
        B, T = (int(torch.randint(1, n + 1, (), generator=generator)) for n in whole.shape)  # noqa: N806
        yield whole[:B, :T]


def packed_rows(run: StoredRun) -> Tensor | None:
    """Random rows in which several documents begin, (B, T); None for a stream."""
    end_id, rows = run.tokenizer.end_id, random_rows(run)
    if end_id is None:
        return None
    begins = torch.rand(rows.shape, generator=torch.Generator().manual_seed(1)) < 0.2
    return rows.masked_fill(begins, end_id)


def cached_logits(run: StoredRun, path: Path) -> list[tuple[Tensor, Tensor]]:
    """The logits of `start` and `step`, and those of the graph with a cache, (B, V) each."""
    session, rows = _session(path), random_rows(run)
    first = rows.shape[1] - min(STEPS, rows.shape[1] - 1)
    several = isinstance(session.get_inputs()[0].shape[1], str)
    past, pairs, state = empty_past(session, len(rows)), [], None
    columns = list(rows[:, :, None].unbind(1))  # (B, 1) each
    for ids in [rows[:, :first], *columns[first:]] if several else columns:
        output, *present = session.run(None, {"input_ids": ids.numpy(), **past})
        past = dict(zip(past, present, strict=True))
        if state is None:
            logits, state = run.model.start(ids)
        else:
            logits = run.model.step(ids[:, 0], state)
        pairs.append((logits, torch.from_numpy(output[:, 0])))
    return pairs


def empty_past(session: Any, n: int) -> dict[str, np.ndarray[Any, Any]]:
    """The past of n new texts, by the names of the inputs."""
    return {
        value.name: np.zeros(
            [k if isinstance(k, int) else n if k == BATCH else 0 for k in value.shape],
            np.int64 if "int64" in value.type else np.float32,
        )
        for value in session.get_inputs()[1:]
    }


def _session(path: Path) -> Any:
    onnxruntime = importlib.import_module("onnxruntime")
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _logits(session: Any, rows: Tensor) -> Tensor:
    return torch.from_numpy(session.run(["logits"], {"input_ids": rows.numpy()})[0])
