"""Statistics while training: `--probe-every N` keeps what the figures need in probes.jsonl.

A record of kind "probe" holds the statistics of one step, one of kind "novelty" how much a few samples
copied, early on and at each evaluation. Nothing that is trained changes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from hornbook.files import append_line, write_lines
from hornbook.metrics.novelty import measure_novelty
from hornbook.metrics.probes import Probe
from hornbook.planning.plan import Plan
from hornbook.runs.directory import StoredRun
from hornbook.runs.probes import read_probes
from hornbook.training.callbacks.base import Callback

RECORDS = 500  # probes at most of the steps that are planned at the start
EARLY = 3  # from step 2^3 on copies are looked for at powers of two, until the first evaluation
SAMPLES = 200  # documents sampled to look for them


class Probes(Callback):
    """Records statistics every so many steps, the first and the last among them."""

    def __init__(self, plan: Plan) -> None:
        training = plan.config.training
        self.plan = plan
        self.every = max(training.probe_every, math.ceil(training.steps / (RECORDS - 1)))
        first = training.steps // max(1, training.eval_count)  # evaluation
        # averaged weights are there at evaluations alone
        self.early = {2**i for i in range(EARLY, 40) if 2**i < first and not training.ema_decay}
        self.measured: set[int] = set()
        self._probe: Probe | None = None

    def on_start(self, run: StoredRun, step: int, total_steps: int) -> None:
        """Drops the records after the state that is resumed from, and those after damage."""
        damage: list[str] = []
        kept = [r for r in read_probes(run.path / "probes.jsonl", damage) if r["step"] <= step]
        for what in damage:
            self.trainer.notify(f"{what}: the records from there on are gone; nothing else is")
        self.measured = {r["step"] for r in kept if r["kind"] == "novelty"}
        self.trainer.write(lambda path: write_lines(path / "probes.jsonl", kept))

    def next_due(self, step: int) -> int | None:
        """The next probe or search for copies; a step that is probed is made alone."""
        if self._is_due(step) or step + 1 in self.early:
            return step + 1
        due = [(step // self.every + 1) * self.every, *(n - 1 for n in self.early if n - 1 > step)]
        return int(min([*due, max(self.trainer.state.total_steps - 1, step + 1)]))

    def _is_due(self, step: int) -> bool:
        return step % self.every == 0 or step == self.trainer.state.total_steps - 1

    def pre_step(self, step: int) -> None:
        """Attaches a probe where one is due."""
        if self._is_due(step):
            self._probe = Probe(self.trainer.step.model).__enter__()

    def post_step(self, step: int) -> None:
        """Removes it and writes what it recorded."""
        if self._probe is not None:
            self._probe.__exit__(None, None, None)
            self._write({"kind": "probe", "step": step + 1, **self._probe.record()})
            self._probe = None
        if step + 1 in self.early:
            self._measure(step + 1)

    def on_log(self, record: Mapping[str, Any]) -> None:
        """At evaluations: how much samples copy."""
        step = record["step"]
        if step and "val_loss" in record and step not in self.early | self.measured:
            self._measure(step)

    def _measure(self, step: int) -> None:
        model = copy.deepcopy(
            self.trainer.step.model
        )  # so that calibrating changes nothing trained
        self.plan.calibrate(model)
        novelty = measure_novelty(model, self.plan.data.tokenizer, self.plan.text_index, SAMPLES)
        self._write({"kind": "novelty", "step": step, **novelty.to_json()})

    def _write(self, record: dict[str, Any]) -> None:
        self.trainer.write(lambda path: append_line(path / "probes.jsonl", record))
