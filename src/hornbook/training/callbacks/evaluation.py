"""The losses of the model, before the first step and evenly spaced; the best weights are kept."""

from __future__ import annotations

import math
from typing import Any

from hornbook.engine.device import autocast
from hornbook.files import write_tensors
from hornbook.layers.lora import merged_weights
from hornbook.metrics.loss import Floats, mean_nats, mean_of, token_nats
from hornbook.models.base import LanguageModel
from hornbook.pretrained.adapter import has_adapter, write_adapter
from hornbook.runs.directory import StoredRun
from hornbook.training.callbacks.base import SpacedCallback
from hornbook.training.callbacks.logging import new_record

# the record before the first step: no batch was seen
UNTRAINED = {
    "step": 0, "tokens": 0, "seconds": 0.0, "loss": None, "lr": None, "grad_norm": None,
    "tokens_per_second": 0,
}  # fmt: skip


class Evaluator(SpacedCallback):
    """Measures the loss over the validation part, and estimates that over the training part on a
    fixed sample of it, as the notes' `estimate_loss` does, and that on the text of a base. Writes
    model.safetensors where the validation loss is the best. Both losses are without dropout.

    best_nats: of each token of the validation part by the weights that are kept, in float32; None where
    they are not known.
    """

    best_nats: Floats | None = None

    def on_start(self, run: StoredRun, step: int, total_steps: int) -> None:
        """Says where LoRA's matrices are kept in the merged weights alone."""
        trainer = self.trainer
        lora = trainer.plan.config.finetuning.lora_rank
        if lora and not step and not has_adapter(trainer.step.model):
            trainer.notify(
                "no adapter is written, as other programs do not have this model in this form; "
                "model.safetensors has the merged weights"
            )

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
            trainer.plan.calibrate(model)
            with autocast(trainer.plan.device, trainer.plan.precision):
                validation = trainer.plan.data.validation
                nats = token_nats(model, validation, ranks=trainer.ranks)
                record["val_loss"] = mean_of(nats, validation)
                if sample := trainer.plan.training_sample:
                    record["train_loss"] = mean_nats(
                        model, sample, trained_on=True, ranks=trainer.ranks
                    )
                if sample := trainer.plan.old_sample:
                    record["old_loss"] = mean_nats(model, sample, ranks=trainer.ranks)
            train_loss = record.get("train_loss", record["loss"])
            # untrained weights are a yardstick: they are kept only where there are no others, or where
            # they are the counts of the training part, or those of a base
            known = model.counted or trainer.plan.start is not None
            if (state.step or known) and state.history.add(
                state.step, train_loss, record["val_loss"]
            ):
                self._write(model)
                self.best_nats = nats if trainer.plan.precision == "fp32" else None
            trainer.log(record)  # here, so that callbacks see the weights that were evaluated

    def on_end(self) -> None:
        """Keeps the last weights where no evaluation gave any that are the best."""
        trainer, history = self.trainer, self.trainer.state.history
        if not math.isinf(history.best):
            return
        history.best_step = trainer.state.step
        with trainer.step.ema_weights() as model:
            trainer.plan.calibrate(model)
            self._write(model)

    def _write(self, model: LanguageModel) -> None:
        """Writes the weights as they are: those of LoRA merged, and beside that as an adapter."""
        trainer = self.trainer
        finetuning = trainer.plan.config.finetuning
        if finetuning.lora_rank:
            trainer.write(lambda path: write_adapter(path, model, finetuning))
        weights = merged_weights(model)
        trainer.write(lambda path: write_tensors(path / "model.safetensors", weights))
