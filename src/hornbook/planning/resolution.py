"""The settings of one preset on one text and machine, being decided: a stage between request and plan.

The order is fixed: context, then what a step computes, threads and precision, steps and batch size,
what follows from those, compiling, memory.
"""

from __future__ import annotations

import threading
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from hornbook.config import Nested
from hornbook.data.training_data import TrainingData
from hornbook.engine.compiled import Form, can_compile_steps, has_compiler
from hornbook.engine.device import has_bf16
from hornbook.metrics.text_index import TextIndex, text_index_of
from hornbook.models.registry import MODELS
from hornbook.optim.schedules import Schedule
from hornbook.planning.bench import Bench
from hornbook.planning.decide import batches as of_text
from hornbook.planning.decide import execution, memory
from hornbook.planning.decide.batches import BatchSize
from hornbook.planning.decide.size import Size
from hornbook.planning.decide.time_budget import TimeBudget
from hornbook.planning.decision import REQUESTED, Decision
from hornbook.planning.draft import Draft
from hornbook.planning.plan import Plan
from hornbook.planning.request import Request
from hornbook.planning.shape import Shape
from hornbook.planning.tuning import LARGE_PART


class Resolution:
    """What is known so far. Raises ConfigError or DataError for what cannot be.

    batch_size: in the context that was decided, before it is known whether the text is small.
    """

    def __init__(
        self, preset: Nested, requested: Nested, data: TrainingData, device: torch.device
    ) -> None:
        self.data, self.device = data, device
        self.draft = Draft(preset, requested)
        self.decisions: dict[str, Decision[Any]] = {}
        self._decide_context()
        config, tokenizer = self.draft.config(), data.tokenizer
        model = memory.check_weights_fit(
            config.model, config.optim, tokenizer.vocab_size, tokenizer.end_id,
            memory.available_bytes(device),
        )  # fmt: skip
        self.shape = Shape.of(model, data, config.training)
        windows = self.shape.examples == "windows" and not model.fitted
        self.least_rows = 2 if windows else 1  # of one window BatchNorm has no variance
        self._batch = self._batch_in_context()
        self.batch_size: BatchSize = self._batch.value
        if windows:
            model.check_windows(self.shape.rows(self.batch_size))
        self.bench: Bench | None = None

    def _decide_context(self) -> None:
        name, part, held_out = "model.context_length", self.data.train, self.data.validation
        entry = MODELS[self.draft["model.name"]]
        if not self.draft.has(name) or entry.model.sliding:
            return
        if self.draft.is_requested(name):
            of_text.check_context(
                self.draft[name], documents=part.documents, n_validation=held_out.n_targets
            )
        decision = of_text.context_length(
            self.draft[name],
            documents=part.documents,
            longest=max(part.longest, held_out.longest),
            n_train=part.n_targets,
            n_validation=held_out.n_targets,
        )
        self.preset_context = self.draft[name]
        self.draft.decide(name, decision)

    def _batch_in_context(self) -> Decision[BatchSize]:
        """As many tokens as in the preset's context; or what was requested."""
        batch: BatchSize = self.draft["training.batch_size"]
        if self.draft.is_requested("training.batch_size"):
            return Decision(batch, REQUESTED)
        if "model.context_length" not in self.draft.decisions:
            return Decision(batch, "the preset's")
        context = self.draft["model.context_length"]
        return of_text.batch_in_context(batch, self.preset_context, context, least=self.least_rows)

    def max_steps(self, batch_size: BatchSize) -> int | None:
        """Steps after which a small text begins to be memorized; None where it is not small."""
        tokens = self.shape.tokens_per_step(batch_size)
        return of_text.max_steps(self.shape.n_parameters, self.shape.n_train, tokens)

    def decide_execution(self) -> None:
        """Threads and precision, by trial steps where nothing else decides."""
        draft = self.draft
        self.bench = bench = Bench(
            draft.config(), self.data, self.shape, self.device, self.batch_size
        )
        self.decisions["threads"] = execution.threads(
            draft["training.threads"],
            torch.get_num_threads(),
            device=self.device.type,
            fixed=self._fixed() or _beside_threads(),
            measure=bench.seconds_by_threads,
        )
        bench.threads = self.decisions["threads"].value
        self.decisions["precision"] = execution.precision(
            draft["training.precision"],
            fixed=self._fixed(),
            has_bf16=has_bf16(self.device),
            measure=bench.bf16_ratio,
        )

    def text_index(self) -> TextIndex:
        """What samples are compared with; the plan's is the same one."""
        return text_index_of(self.data.split)

    def _fixed(self) -> str:
        """Why nothing is to depend on a measurement; empty where it may."""
        if self.draft["training.reference"]:
            return "reference kernels"
        return "deterministic" if self.draft["training.deterministic"] else ""

    @property
    def precision(self) -> str:
        """fp32 or bf16, once it is decided."""
        return str(self.decisions["precision"].value)

    def decide_steps(
        self,
        steps: Decision[int],
        *,
        in_time: bool = False,
        named: bool = False,
        size: Size | None = None,
    ) -> None:
        """Steps and batch size, and what follows from them: warm-up, dropout, learning rates.

        steps: those of the preset or, in_time, those that fit into a time budget. named: the preset
        was requested by its name, so that only a time budget changes it. size: the size that was
        chosen for a time budget.
        """
        draft, requested = self.draft, self.draft.is_requested
        fixed = requested("training.steps") or (named and not in_time)
        fitted, batch = of_text.steps_and_batch(
            steps,
            self._batch,
            None if fixed else self.max_steps(self.batch_size),
            rows=self.shape.rows(self.batch_size),
            in_time=in_time,
            keep_batch=named or requested("training.batch_size"),
            least=self.least_rows,
        )
        small_text = fitted is not steps or batch is not self._batch
        n_steps = draft.decide("training.steps", fitted)
        draft.decide("training.batch_size", batch)
        planned = None if in_time else draft.preset("training.steps")
        draft.decide("optim.warmup", of_text.warmup(draft["optim.warmup"], planned, n_steps))
        if draft.has("model.dropout"):
            tokens = steps.value * self.shape.tokens_per_step(self.batch_size)
            epochs = None if size is None else tokens / self.shape.n_train
            small_text = small_text and not named
            draft.decide(
                "model.dropout",
                of_text.dropout(draft["model.dropout"], small_text=small_text, epochs=epochs),
            )
        if size is not None:
            rate, muon_rate = size.learning_rates(steps.value)
            reason = "for so many steps of this size"
            draft.decide("optim.learning_rate", Decision(rate, reason))
            draft.decide("optim.muon_learning_rate", Decision(muon_rate, reason))

    def plan(
        self,
        request: Request,
        *,
        step_seconds: float | None = None,
        time_budget: TimeBudget | None = None,
        notes: tuple[str, ...] = (),
    ) -> Plan:
        """The plan, after all else is decided: compiling and memory come last."""
        config, bench = self.draft.config(), self._final_bench()
        self.decisions["compiled"] = self._compilation(bench, config.training.steps, time_budget)
        training, optim = config.training, config.optim
        rows, available = self.shape.rows(training.batch_size), memory.available_bytes(self.device)
        estimate = memory.estimate_memory(
            memory.weights_bytes(bench.model, optim), bench.kept_bytes(self.precision), rows,
            self.data.tokenizer.vocab_size,
        )  # fmt: skip
        words = memory.check_memory(estimate, available, batch_size=rows, model=config.model.name)
        self.decisions["memory"] = Decision(words, "estimated")
        schedule = Schedule.planned(optim, training.steps)
        if request.segments:
            schedule = Schedule(optim, request.segments)
        return Plan(
            config=config,
            data=self.data,
            device=self.device,
            shape=self.shape,
            schedule=schedule,
            threads=self.decisions["threads"].value,
            precision=self.precision,
            compiled=self.decisions["compiled"].value,
            step_seconds=step_seconds,
            max_steps=self.max_steps(training.batch_size),
            memory=estimate,
            time_budget=time_budget,
            decisions=MappingProxyType({**self.draft.decisions, **self.decisions}),
            notes=(*request.messages, *self.data.notes, *self._text_notes(), *notes),
        )

    def _final_bench(self) -> Bench:
        """The bench of the settings as they were decided; a small text may have changed them."""
        config, before = self.draft.config(), self.bench
        assert before is not None
        batch_size = config.training.batch_size
        if (config.model, batch_size) == (before.config.model, self.batch_size):
            return before
        bench = Bench(config, self.data, self.shape, self.device, batch_size)
        bench.threads = before.threads
        return bench

    def _compilation(
        self, bench: Bench, steps: int, time_budget: TimeBudget | None
    ) -> Decision[Form]:
        training = self.draft.config().training
        batches, optim = bench.batches(), self.draft.config().optim
        steps_form = can_compile_steps(bench.model, batches, optim, training)
        form: Form = "steps" if steps_form and self.precision == "fp32" else "loss"
        fixed, least = self._fixed(), execution.worthwhile_seconds(form)
        too_short = time_budget is not None and 60 * time_budget.minutes < least
        if too_short and training.compile == "auto":
            fixed = fixed or "it would not save time within the time budget"
        return execution.compilation(
            training.compile,
            form,
            device=self.device.type,
            fixed=fixed,
            has_compiler=has_compiler(self.device),
            run_seconds=lambda: steps * bench.trial_seconds(self.precision, least / steps),
            measure=lambda chosen: bench.compiled_ratio(self.precision, chosen),
        )

    def _text_notes(self) -> list[str]:
        """That documents are longer than the context."""
        part, context = self.data.train, self.shape.context_length
        if "model.context_length" not in self.draft.decisions or not part.documents:
            return []
        longer = int((np.diff(part.starts) > context).sum())
        if not longer:
            return []
        return [f"{longer:,} documents are longer than the context of {context}: read in pieces"]

    def plan_of_counts(self, request: Request) -> Plan:
        """The plan of a model that is fitted in one pass: there is nothing else to decide."""
        config, notes = self.draft.config(), list(self.data.notes)
        if self.data.train.n_targets > LARGE_PART:
            notes.append(f"counts about {LARGE_PART:,} tokens, spread over the training part")
        if config.training.minutes is not None:
            notes.append("counts are fitted in one pass, whatever the minutes")
        return Plan(
            config=config,
            data=self.data,
            device=self.device,
            shape=self.shape,
            schedule=Schedule.planned(config.optim, config.training.steps),
            threads=torch.get_num_threads(),
            precision="fp32",
            compiled="no",
            decisions=MappingProxyType({**self.draft.decisions, **self.decisions}),
            notes=(*request.messages, *notes),
        )


def _beside_threads() -> str:
    """Why the number of threads is not measured: another Python thread would keep one for good."""
    return "not measured beside other Python threads" if threading.active_count() > 1 else ""
