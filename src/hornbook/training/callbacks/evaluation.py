"""The losses of the model, before the first step and evenly spaced; the best weights are kept."""

from __future__ import annotations

import math
from typing import Any

from hornbook.engine.device import autocast
from hornbook.files import write_tensors
from hornbook.metrics.loss import Floats, mean_nats, token_nats
from hornbook.training.callbacks.base import SpacedCallback
from hornbook.training.callbacks.logging import new_record

# the record before the first step: no batch was seen
UNTRAINED = {
    "step": 0, "tokens": 0, "seconds": 0.0, "loss": None, "lr": None, "grad_norm": None,
    "tokens_per_second": 0,
}  # fmt: skip


class Evaluator(SpacedCallback):
    """Measures the loss over the validation part, and estimates that over the training part on a
    fixed sample of it, as the notes' `estimate_loss` does. Writes model.safetensors where the
    validation loss is the best. Both losses are without dropout.

    best_nats: of each token of the validation part by the weights that are kept, in float32; None where
    they are not known.
    """

    best_nats: Floats | None = None

    def post_start(self) -> None:
        """Measures the untrained model, or makes up for an evaluation that was interrupted."""
        state = self.trainer.state
        if state.step == 0 and not state.records:
            with self.trainer.clock.paused("evaluation"):
                self._log(dict(UNTRAINED))
        elif state.step in self.steps() and state.pending:
            self.act()

    def act(self) -> None:
        """The losses of the weights as they are, or of averaged ones where there are any."""
        with self.trainer.clock.paused("evaluation"):
            self.trainer.each("pre_evaluate")
            self._log(new_record(self.trainer))

    def _log(self, record: dict[str, Any]) -> None:
        """Adds the losses to a record; keeps the weights where they are the best so far."""
        trainer, state = self.trainer, self.trainer.state
        with trainer.step.ema_weights() as model:
            model.calibrate(trainer.plan.training_windows)
            with autocast(trainer.plan.device, trainer.plan.precision):
                nats = token_nats(model, trainer.plan.data.validation, ranks=trainer.ranks)
                record["val_loss"] = float(nats.mean())
                if sample := trainer.plan.training_sample:
                    record["train_loss"] = mean_nats(
                        model, sample, trained_on=True, ranks=trainer.ranks
                    )
            train_loss = record.get("train_loss", record["loss"])
            # untrained weights are a yardstick: they are kept only where there are no others, or where
            # they are the counts of the training part
            if (state.step or model.counted) and state.history.add(
                state.step, train_loss, record["val_loss"]
            ):
                weights = model.state_dict()
                trainer.write(lambda path: write_tensors(path / "model.safetensors", weights))
                self.best_nats = nats if trainer.plan.precision == "fp32" else None
            trainer.log(record)  # here, so that callbacks see the weights that were evaluated

    def on_end(self) -> None:
        """Keeps the last weights where no evaluation gave any that are the best."""
        trainer, history = self.trainer, self.trainer.state.history
        if not math.isinf(history.best):
            return
        history.best_step = trainer.state.step
        with trainer.step.ema_weights() as model:
            model.calibrate(trainer.plan.training_windows)
            weights = model.state_dict()
            trainer.write(lambda path: write_tensors(path / "model.safetensors", weights))
