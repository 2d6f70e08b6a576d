"""Looks inside while it trains: `--probe-every N` keeps what the figures need in probes.jsonl.

A record of kind "probe" holds the statistics of one update, one of kind "novelty" how much a few
samples copied, early on and at each evaluation. Nothing that is trained changes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from hornbook.files import append_line, write_lines
from hornbook.metrics.novelty import measure_novelty
from hornbook.metrics.probes import Probe
from hornbook.planning.plan import Plan
from hornbook.runs.directory import StoredRun
from hornbook.training.callbacks import Callback, Write

RECORDS = 500  # probes at most of the updates that a start has before it
EARLY = 3  # from update 2^3 on copies are looked for at powers of two, until the first evaluation
SAMPLES = 200  # documents sampled to look for them


class Recorder(Callback):
    """Probes every so many updates, the first and the last among them."""

    def __init__(self) -> None:
        self._probe: Probe | None = None

    def planned(self, plan: Plan) -> None:
        """Keeps what is watched."""
        training = plan.config.training
        self.plan, self.steps = plan, training.steps
        self.every = max(training.probe_every, math.ceil(training.steps / (RECORDS - 1)))
        self.training = plan.reference
        first = training.steps // max(1, training.eval_count)  # evaluation
        # averaged weights are there at evaluations alone
        self.early = {2**i for i in range(EARLY, 40) if 2**i < first and not training.ema_decay}

    def opened(self, write: Write, tell: Callable[[str], None]) -> None:
        """Keeps what to write with."""
        self.write, self.tell = write, tell

    def started(self, run: StoredRun, step: int, steps: int) -> None:
        """Drops the records after the state that is resumed from, and those after damage."""
        damage: list[str] = []
        kept = [r for r in run.read_probes(damage) if r["step"] <= step]
        for what in damage:
            self.tell(f"{what}: what was seen from there on is gone; nothing else is")
        self.measured = {r["step"] for r in kept if r["kind"] == "novelty"}
        self.write(lambda path: write_lines(path / "probes.jsonl", kept))

    def counted(self, steps: int) -> None:
        """The last update is another one."""
        self.steps = steps

    def watches(self, step: int) -> bool:
        """Every so many updates, and early on, when copies are looked for."""
        return self._probes(step) or step + 1 in self.early

    def _probes(self, step: int) -> bool:
        return step % self.every == 0 or step == self.steps - 1

    def updating(self, step: int) -> None:
        """Attaches a probe where one is due."""
        if self._probes(step):
            self._probe = Probe(self.plan.model).__enter__()

    def updated(self, step: int) -> None:
        """Takes it off and writes what it saw."""
        if self._probe is not None:
            self._probe.__exit__(None, None, None)
            self._write({"kind": "probe", "step": step + 1, **self._probe.record()})
            self._probe = None
        if step + 1 in self.early:
            self._measure(step + 1)

    def logged(self, record: dict[str, Any]) -> None:
        """At evaluations: how much samples copy."""
        if "val_loss" in record and record["step"] not in self.early | self.measured:
            self._measure(record["step"])

    def _measure(self, step: int) -> None:
        model = copy.deepcopy(self.plan.model)  # calibrated on its own: nothing trained changes
        model.calibrate(self.plan.training_windows)
        novelty = measure_novelty(model, self.plan.tokenizer, self.training, SAMPLES)
        self._write({"kind": "novelty", "step": step, **novelty.to_json()})

    def _write(self, record: dict[str, Any]) -> None:
        self.write(lambda path: append_line(path / "probes.jsonl", record))
