"""log.jsonl: the mean loss since the last record, some two hundred times in a run."""

from __future__ import annotations

from typing import Any

from hornbook.engine.device import memory_taken, peak_operations
from hornbook.training.callbacks.base import Callback, TrainerBase

MEASURED = ("seconds", "tokens_per_second", "communication", "memory", "mfu")  # not the same twice
RECORDS = 200  # in the log of a whole run
MOST_PENDING = 1000  # losses kept one by one, between two records


class LogWriter(Callback):
    """Writes a record after the first step and then at even intervals."""

    @property
    def every(self) -> int:
        """Steps between two records."""
        return max(1, self.trainer.state.total_steps // RECORDS)

    def next_due(self, step: int) -> int | None:
        """The next record."""
        return 1 if step == 0 else (step // self.every + 1) * self.every

    def post_step(self, step: int) -> None:
        """Writes a record where it is due and no evaluation has written one."""
        state, n = self.trainer.state, step + 1
        if n % self.every == 0 or n == 1:
            if state.pending or state.folded[0]:
                self.trainer.log(new_record(self.trainer))
        elif len(state.pending) >= MOST_PENDING:
            state.fold_losses()


def new_record(trainer: TrainerBase) -> dict[str, Any]:
    """The record of the steps since the last one, of which there is at least one."""
    state = trainer.state
    n, loss, norm = state.record_losses()
    seconds, state.recorded = state.seconds - state.recorded, state.seconds
    speed = n * trainer.plan.tokens_per_step / max(seconds, 1e-9)
    return {
        "step": state.step,
        "tokens": state.tokens,
        "seconds": round(state.seconds, 3),
        "loss": loss,
        "lr": state.rate(state.step - 1),
        "grad_norm": norm,
        "tokens_per_second": round(speed),
        **_of_ranks(trainer, seconds),
        **_of_device(trainer, speed),
    }


def _of_ranks(trainer: TrainerBase, seconds: float) -> dict[str, float]:
    """Of several processes, the share of the time for steps that rank 0 spent on sending gradients, and
    on waiting for the others."""
    if not trainer.ranks.many:
        return {}
    spent, trainer.state.communication = trainer.state.communication, 0.0
    return {"communication": round(min(1.0, spent / max(seconds, 1e-9)), 4)}


def _of_device(trainer: TrainerBase, speed: float) -> dict[str, float]:
    """The most memory that was taken so far, in bytes, and the share of the operations per second that
    GPUs are made for (MFU), where that is known.

    Of several processes the memory is that of the one which took most. speed: tokens per second.
    """
    plan, found = trainer.plan, dict[str, float]()
    if most := trainer.ranks.max([memory_taken(plan.device) or 0])[0]:
        found["memory"] = most
    if peak := peak_operations(plan.device, plan.precision):
        operations = 6 * trainer.step.model.n_parameters * speed
        found["mfu"] = round(operations / (peak * plan.ranks.world_size), 4)
    return found
