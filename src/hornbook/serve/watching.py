"""Runs as a table, and one run: its settings, its log while it is trained, its samples."""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hornbook.errors import HornbookError, RunError
from hornbook.metrics.counts import search_counts
from hornbook.run import Run
from hornbook.runs.listing import RunSummary, read_summary

LIVE_SAMPLES, LIVE_TOKENS = 10, 200  # drawn from the newest best weights
EVERY = 1.0  # seconds between two looks at a log that is followed
QUIET = 15.0  # seconds without news after which a comment is sent, so that proxies keep the stream
MOST_BYTES = 1 << 20  # of a log that are read at once
MOST_SAMPLED = 200  # steps whose samples are sent
MOST_COUNTED = 32  # texts whose counts are kept

_counted: dict[tuple[str, str, str], dict[str, Any]] = {}  # by text, tokenizer and split


def row(run: RunSummary) -> dict[str, Any]:
    """A run in a table. Paths stay on this machine."""
    data = asdict(run)
    data.pop("path")
    return data


def details(name: str, path: Path) -> dict[str, Any]:
    """A run's sizes, settings and figures, and the baselines that its losses are compared with."""
    run, summary = Run.load(path), read_summary(path, name)
    return {
        **row(summary),
        "vocab_size": run.facts["vocab_size"],
        "kind": run.facts["corpus"]["kind"],
        "config": run.config.model_dump(mode="json"),
        "hardware": run.facts["hardware"],
        "verdict": run.report.get("verdict"),
        "baselines": _baselines(run, run.report.get("counts")),
    }


def _baselines(run: Run, counts: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "uniform_nats": math.log(run.facts["vocab_size"]),
        "counts_nats": None if counts is None else counts["loss"],
        "counts_order": None if counts is None else counts["order"],
    }


def baselines(path: Path) -> dict[str, Any]:
    """The loss of a uniform guess and of the best n-grams, in nats per token.

    The report of a finished run has them; of others the text is counted once, unless it is large or
    gone, when there are none.
    """
    run = Run.load(path)
    counts = run.report.get("counts")
    if counts is None and not run.large:
        key = (run.facts["corpus"]["sha256"], run.tokenizer.fingerprint, str(run.config.data))
        with suppress(HornbookError):  # the text is not there any more
            if key not in _counted:
                train, validation = run.part("train"), run.part("val")
                _counted[key] = search_counts(train, validation, run.tokenizer).to_json()
                while len(_counted) > MOST_COUNTED:
                    del _counted[next(iter(_counted))]
            counts = _counted[key]
    return _baselines(run, counts)


def log(path: Path) -> dict[str, Any]:
    """The records of a run's log; `damage` says where it cannot be read further."""
    damage: list[str] = []
    records = Run.load(path).read_log(damage)
    return {"records": records, "damage": damage}


def samples(run: Run) -> dict[str, Any]:
    """The samples of a run: of its report, of the steps of its training, and new ones of its newest
    best weights, the same each time."""
    n = LIVE_SAMPLES if run.documents else 1
    seed = run.config.training.seed
    live = run.sample(n, max_tokens=LIVE_TOKENS, seed=seed)
    return {
        "report": run.report.get("samples", []),
        "live": [sample.text for sample in live],
        "steps": run.samples[-MOST_SAMPLED:],
    }


async def follow(path: Path, after: int = 0) -> AsyncIterator[str | None]:
    """New records of a log from byte `after` on as server-sent events, until the run has ended.

    An event's id is the byte that the next one begins at, from which a client that lost its connection
    goes on. None after each look without news.
    """
    file = path / "log.jsonl"
    while True:
        ended = await asyncio.to_thread(_has_ended, path)  # before the last look at the log
        lines, after = await asyncio.to_thread(_new_lines, file, after)
        for position, line in lines:
            yield f"id: {position}\nevent: record\ndata: {line}\n\n"
        if ended and not lines:
            yield "event: end\ndata: {}\n\n"
            return
        if not lines:
            yield None
            await asyncio.sleep(EVERY)


def _has_ended(path: Path) -> bool:
    try:
        return not read_summary(path).held
    except RunError:  # removed
        return True


def _new_lines(file: Path, after: int) -> tuple[list[tuple[int, str]], int]:
    """Whole lines of a file from a byte on, each with the byte after it, and where the next begin.

    A log that became shorter was cut when its run was resumed: it is read from the start. Only records
    that are JSON are passed on.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return [], after
    with os.fdopen(descriptor, "rb") as log:
        size = os.fstat(descriptor).st_size
        after = after if after <= size else 0
        log.seek(after)
        raw = log.read(MOST_BYTES)
    found = []
    for line in raw.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            if len(line) == MOST_BYTES:  # no record is so long
                after += len(line)
            break
        after += len(line)
        try:
            record = json.loads(line)
            found.append((after, json.dumps(record, allow_nan=False)))
        except ValueError:
            continue
    return found, after
