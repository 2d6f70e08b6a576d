"""The validation loss, evenly spaced over a run; the best weights are kept."""

from __future__ import annotations

import math

from hornbook.engine.device import autocast
from hornbook.files import write_tensors
from hornbook.metrics.loss import token_nats
from hornbook.training.callbacks.base import SpacedCallback
from hornbook.training.callbacks.logging import new_record


class Evaluator(SpacedCallback):
    """Measures the loss over the validation part, and writes model.safetensors where it is the best."""

    def post_start(self) -> None:
        """Makes up for an evaluation that was interrupted."""
        state = self.trainer.state
        if state.step in self.steps() and state.pending:
            self.act()

    def act(self) -> None:
        """The loss over the whole part, with averaged weights where there are any."""
        with self.trainer.clock.paused("evaluation"):
            self._evaluate()

    def _evaluate(self) -> None:
        trainer, state, model = self.trainer, self.trainer.state, self.trainer.step.model
        trainer.each("pre_evaluate")
        record = new_record(trainer)
        with trainer.step.ema_weights():
            model.calibrate(trainer.plan.training_windows)
            with autocast(trainer.plan.device, trainer.plan.precision):
                record["val_loss"] = float(token_nats(model, trainer.plan.data.validation).mean())
            if state.history.add(state.step, record["loss"], record["val_loss"]):
                weights = model.state_dict()
                trainer.write(lambda path: write_tensors(path / "model.safetensors", weights))
            trainer.log(record)  # here, so that callbacks see the weights that were evaluated

    def on_end(self) -> None:
        """Keeps the last weights where no evaluation gave any that are the best."""
        trainer, history = self.trainer, self.trainer.state.history
        if not math.isinf(history.best):
            return
        history.best_step = trainer.state.step
        with trainer.step.ema_weights():
            trainer.step.model.calibrate(trainer.plan.training_windows)
            weights = trainer.step.model.state_dict()
            trainer.write(lambda path: write_tensors(path / "model.safetensors", weights))
