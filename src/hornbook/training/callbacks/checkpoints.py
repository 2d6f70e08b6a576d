"""The state to resume from: saved before each evaluation, every five minutes, and at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from hornbook.engine.step import NotFiniteError
from hornbook.files import sync
from hornbook.parallel.shards import local
from hornbook.runs.directory import StoredRun
from hornbook.training.callbacks.base import NOTHING, Agreement, Callback
from hornbook.training.checkpoint import save_shards, save_state

SAVE_EVERY = 300.0  # seconds after which a state is saved that no evaluation has saved


class Checkpoints(Callback):
    """Saves the state of a run. Weights that are not finite are never saved.

    at_start: settings or steps were changed on resuming, and the state is to know them.
    now: the time in seconds.
    """

    def __init__(
        self, *, at_start: bool = False, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self.at_start, self.now = at_start, now
        self._saved = now()

    def on_start(self, run: StoredRun, step: int, total_steps: int) -> None:
        """Saves what was changed."""
        self._saved = self.now()
        if self.at_start:
            self.save()

    def propose(self) -> Agreement:
        """Now and then a state is to be saved, when all that follows a step is done, its record among
        it."""
        return Agreement(save=1) if self.now() - self._saved > SAVE_EVERY else NOTHING

    def save(self) -> None:
        """Saves the state after the log that it counts on. Raises NotFiniteError, RunError."""
        trainer = self.trainer
        trainer.state.read_losses()
        own = local(list(trainer.step.model.parameters()))
        if trainer.ranks.any(not all(bool(p.isfinite().all()) for p in own)):
            # a step may overflow weights where its gradient was finite
            raise NotFiniteError(trainer.state.step, math.nan, math.nan)

        def write(path: Path) -> None:
            sync(path / "log.jsonl")
            if trainer.step.sharded is None:
                save_state(path, trainer.step, trainer.state)

        with trainer.clock.paused("saving"):
            trainer.write(write)
            if trainer.step.sharded is not None:
                path = Path(trainer.ranks.broadcast(str(trainer.run.path.absolute())))
                save_shards(path, trainer.step, trainer.state, trainer.ranks)
        self._saved = self.now()

    def pre_evaluate(self) -> None:
        """An evaluation takes time."""
        self.save()

    on_interrupt = on_end = on_save_due = pre_evaluate

    def on_total_steps(self, total_steps: int) -> None:
        """A run that is killed after this ends there, too."""
        self.save()
