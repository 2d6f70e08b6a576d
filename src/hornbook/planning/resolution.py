"""The settings of one preset on one text and machine, being decided: a stage between request and plan.

The order is fixed: context, a step, threads, precision, steps, batch size, memory, compiling.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from hornbook.config import Nested
from hornbook.data.training_data import TrainingData
from hornbook.engine.compiled import Form, can_compile_steps, has_compiler
from hornbook.engine.device import find_device, has_bf16
from hornbook.errors import counted
from hornbook.metrics.loss import scored_logits
from hornbook.models.base import blocks_of
from hornbook.models.registry import MODELS, build_on_meta
from hornbook.optim.schedules import Schedule
from hornbook.planning import continuing, tuning
from hornbook.planning.bench import Bench
from hornbook.planning.counts import counts_memory
from hornbook.planning.decide import batches, execution, finetuning, memory
from hornbook.planning.decide.size import Size
from hornbook.planning.decide.time_budget import TimeBudget
from hornbook.planning.decide.vocabulary import bytes_offer, vocab_size, vocabulary_cost
from hornbook.planning.decision import Decision
from hornbook.planning.draft import Draft
from hornbook.planning.plan import Plan
from hornbook.planning.request import Request
from hornbook.planning.shape import Shape, threads_available
from hornbook.planning.start import Start
from hornbook.stages import stage


class Resolution:
    """What is known so far. Raises ConfigError or DataError for what cannot be.

    size: the one that the preset is made of, for a time budget. decisions: by setting or by name.
    batch: the batch size of trial steps, from which `decide_steps` decides that of the run.
    start: the base that the run begins from. bench: made by `decide_execution`.
    """

    batch: Decision[batches.BatchSize]
    bench: Bench

    def __init__(
        self,
        preset: Nested,
        request: Request,
        data: TrainingData,
        size: Size | None = None,
        start: Start | None = None,
    ) -> None:
        self.request, self.data, self.size, self.start = request, data, size, start
        self.draft = Draft(preset, request.settings)
        self.device = find_device(self.draft["training.device"])
        self.decisions = self.draft.decisions
        self.decisions.update(request.decided)
        requested = self.draft["training.device"]
        self.decisions["device"] = execution.device(requested, self.device.type)
        if start is None:
            preset_context = self._decide_context()
        else:
            preset_context = continuing.decide_form(self.draft, preset, start, data.train)
        if data.tokenizer.kind == "bpe":
            ids = vocab_size(data, self.draft["tokenizer.kind"])
            ids = ids if start is None else Decision(ids.value, "the base's")
            self.draft.decide("tokenizer.vocab_size", ids)
        config, tokenizer = self.draft.config(), data.tokenizer
        model = build_on_meta(config.model, tokenizer.vocab_size, tokenizer.end_id)
        self.shape = Shape.of(model, data, config.training, config.finetuning.replay)
        if model.fitted:
            return
        if start is not None:
            start.freeze(model, start.grown_names(model))
        ranks = request.ranks
        available = memory.own_bytes(self.device, ranks.launch.local_world_size)
        shards = 1
        if ranks.many:
            found = execution.parallel(
                config.training.parallel, config.training.replicas, ranks.world_size,
                needed=memory.weights_bytes(model, config), available=available,
            )  # fmt: skip
            self.decisions["parallel"] = found
            if found.value == "fsdp":
                shards = ranks.world_size // config.training.replicas
                execution.check_probes(config.training.probe_every)
        memory.check_weights_fit(model, config, available, bytes_offer(tokenizer), shards)
        self.decisions.setdefault("row_length", self.shape.row)
        self.decisions["examples"] = self.shape.form
        windows, context = self.shape.examples == "windows", self.shape.context_length
        each = 2 if windows else 1  # of one window BatchNorm has no variance
        self.least_rows = each * ranks.world_size
        row = context if start is None else self.shape.row_length
        batch = batches.batch_in_context(
            config.training.batch_size, preset_context or row, row, least=self.least_rows
        )
        if start is not None:
            per_row = self.shape.tokens_per_step(1)
            batch = finetuning.batch_size(batch, per_row, self.shape.n_train)
        self.batch = self.draft.propose("training.batch_size", batch)
        if windows:
            model.check_windows(self.rows)
        batches.check_ranks(self.rows, ranks.world_size, each)

    def _decide_context(self) -> int | None:
        """The context of the preset; None where it is not decided for the text."""
        name, part, held_out = "model.context_length", self.data.train, self.data.validation
        entry = MODELS[self.draft["model.name"]]
        if not self.draft.has(name) or entry.model.sliding:
            return None
        context: int = self.draft[name]
        if self.draft.is_requested(name):
            batches.check_context(
                context, documents=part.documents, n_validation=held_out.n_targets
            )
        decision = batches.context_length(
            context,
            documents=part.documents,
            longest=max(part.longest, held_out.longest),
            n_train=part.n_targets,
            n_validation=held_out.n_targets,
        )
        self.draft.decide(name, decision)
        return context

    @property
    def rows(self) -> int:
        """Rows or windows of a batch, as far as it is decided."""
        return self.shape.rows(self.draft["training.batch_size"])

    @property
    def tokens_per_step(self) -> float:
        """Tokens predicted in a step, on average."""
        return self.shape.tokens_per_step(self.draft["training.batch_size"])

    @property
    def max_steps(self) -> int | None:
        """Steps after which a small text begins to be memorized; None where it is not small. A hybrid
        for a time budget reads any text a few times only."""
        most = self.shape.max_steps(self.draft["training.batch_size"])
        if not self.beside_counts:
            return most
        return max(2, round(self.most_passes * self.shape.n_train / self.tokens_per_step))

    @property
    def most_passes(self) -> int:
        """Through the training part, in `max_steps`."""
        if not self.beside_counts:
            return tuning.SMALL_TEXT_EPOCHS
        if not self.data.documents:
            return tuning.HYBRID_STREAM_EPOCHS
        small = self.shape.max_steps(self.draft["training.batch_size"]) is not None
        return tuning.HYBRID_SMALL_TEXT_EPOCHS if small else tuning.HYBRID_EPOCHS

    @property
    def beside_counts(self) -> bool:
        """Whether this is a hybrid whose size was chosen for a time budget."""
        return self.size is not None and self.shape.counted

    def decide_execution(self, like: Resolution | None = None) -> None:
        """Threads and precision: as of another resolution, else by trial steps where they can be."""
        if self.shape.counted:
            counts_memory(self._plan())  # refused before anything is counted
        if like is not None:
            self.decisions |= {n: like.decisions[n] for n in ("threads", "precision")}
            self.bench = Bench(self._plan())
            return
        with stage("measuring threads and precision"):
            self._measure_execution()

    def _measure_execution(self) -> None:
        draft, bench = self.draft, Bench(self._plan())
        self.bench = bench
        self.decisions["threads"] = execution.threads(
            draft["training.threads"],
            threads_available(self.request.ranks),
            device=self.device.type,
            fixed=self._fixed(),
            measure=bench.seconds_by_threads,
        )
        bench.plan = self._plan()
        self.decisions["precision"] = execution.precision(
            draft["training.precision"],
            fixed=self._fixed(),
            has_bf16=has_bf16(self.device),
            known=self.request.precision,
            minutes=draft["training.minutes"] if self.device.type == "cpu" else None,
            measure=bench.bf16_ratio,
        )
        bench.plan = self._plan()

    def _fixed(self) -> str:
        """Why nothing is to depend on a measurement; empty where it may."""
        if self.draft["training.reference"]:
            return "reference kernels"
        if self.planned_steps().value == 0:
            return "no step is made"
        return "deterministic" if self.draft["training.deterministic"] else ""

    def planned_steps(self) -> Decision[int]:
        """The steps of the requested epochs, else the preset's."""
        epochs = self.draft["training.epochs"]
        if epochs is None:
            return Decision(self.draft["training.steps"], "the preset's")
        new_tokens = self.tokens_per_step * (1 - self.shape.replay)
        return batches.steps_of_epochs(epochs, self.shape.n_train, new_tokens)

    def decide_steps(self, steps: Decision[int], *, in_time: bool = False) -> None:
        """Steps and batch size, and what follows from them: warm-up, dropout, learning rates.

        steps: those of the preset or, in_time, those that fit into a time budget.
        """
        if self.start is not None:
            continuing.decide_steps(self.draft, self.shape, self.batch, steps)
            return
        draft, requested = self.draft, self.draft.is_requested
        named = isinstance(self.request.preset, str)  # then only a time budget changes it
        fixed = requested("training.steps") or draft["training.epochs"] is not None
        fixed = fixed or (named and not in_time)
        fitted, batch = batches.steps_and_batch(
            steps,
            self.batch,
            None if fixed else self.max_steps,
            rows=self.rows,
            in_time=in_time,
            keep_batch=named or requested("training.batch_size"),
            least=self.least_rows,
            passes=self.most_passes,
        )
        small_text = fitted is not steps or batch is not self.batch
        epochs = None
        if self.size is not None and not self.beside_counts:  # dropout made hybrids worse
            epochs = fitted.value * self.tokens_per_step / self.shape.n_train
        n_steps = draft.decide("training.steps", fitted)
        draft.decide("training.batch_size", batch)
        planned = None if in_time else draft.preset.training.steps
        draft.decide("optim.warmup", batches.warmup(draft["optim.warmup"], planned, n_steps))
        if draft.has("model.dropout"):
            decision = batches.dropout(
                draft["model.dropout"],
                small_text=small_text and not named and not self.beside_counts,
                epochs=epochs,
            )
            draft.decide("model.dropout", decision)
        if self.size is not None:
            counts = self.shape.counted
            rate, muon_rate = self.size.learning_rates(fitted.value, counts=counts)
            reason = "for so many steps of this size"
            draft.decide("optim.learning_rate", Decision(rate, reason))
            draft.decide("optim.muon_learning_rate", Decision(muon_rate, reason))

    def plan(
        self,
        *,
        step_seconds: float | None = None,
        time_budget: TimeBudget | None = None,
        notes: tuple[str, ...] = (),
    ) -> Plan:
        """The plan, after all else is decided: memory and compiling come last."""
        bench = self._final_bench()
        with stage("estimating memory"):
            needed = bench.memory_needed()
            name = "training.checkpointing"
            least = self.least_rows // self.request.ranks.world_size
            decision = self.draft.propose(name, bench.checkpointing(needed, least))
            self.decisions[name] = decision
            if decision.value == "yes" and not self.draft.is_requested(name):
                bench = Bench(self._plan())
                needed = bench.memory_needed()
            name = "training.micro_batch"
            self.decisions[name] = self.draft.propose(name, bench.micro_batch(needed))
            bench.plan = self._plan()
            estimate, self.decisions["memory"] = bench.estimate_memory(needed)
        with stage("measuring compiled steps"):
            self.decisions["compiled"] = self._compilation(bench, time_budget, estimate)
        return self._plan(
            *self._text_notes(),
            *self._counting_notes(),
            *self._vocabulary_notes(),
            *notes,
            step_seconds=step_seconds or bench.seconds.get(bench.plan.threads),
            max_steps=self.max_steps,
            memory=estimate,
            time_budget=time_budget,
        )

    def plan_of_counts(self, *, chosen: bool = False) -> Plan:
        """The plan of a model that is fitted in one pass: there is nothing else to decide.

        chosen: for a time budget.
        """
        notes = self._counting_notes()
        if self.draft["training.minutes"] is not None and not chosen:
            notes.append("counts are fitted in one pass, whatever the minutes")
        if self.draft["training.epochs"] is not None:
            notes.append("counts are fitted in one pass, whatever the epochs")
        estimate, self.decisions["memory"] = counts_memory(self._plan())
        return self._plan(*self._vocabulary_notes(), *notes, memory=estimate)

    def _plan(self, *notes: str, **found: Any) -> Plan:
        """The plan as far as it is decided."""
        config, request = self.draft.config(), self.request
        schedule = Schedule.planned(config.optim, config.training.steps)
        if request.segments:
            schedule = Schedule(config.optim, request.segments)
        found["threads"] = threads_available(request.ranks)
        for name in {"threads", "precision", "compiled", "parallel"} & self.decisions.keys():
            found[name] = self.decisions[name].value
        return Plan(
            config=config,
            data=self.data,
            device=self.device,
            shape=self.shape,
            schedule=schedule,
            decisions=MappingProxyType(dict(self.decisions)),
            notes=(*request.messages, *self.data.notes, *notes),
            start=self.start,
            ranks=request.ranks,
            **found,
        )

    def _final_bench(self) -> Bench:
        """The bench of the settings as they were decided; a small text may have changed them."""
        plan, before = self._plan(), self.bench.plan.config
        if (plan.config.model, plan.rows) != (before.model, self.bench.plan.rows):
            return Bench(plan)
        self.bench.plan = plan
        return self.bench

    def _compilation(
        self, bench: Bench, time_budget: TimeBudget | None, estimate: memory.MemoryEstimate
    ) -> Decision[Form]:
        plan, training = bench.plan, bench.plan.config.training
        steps_form = can_compile_steps(bench.model, plan.build_batches(), plan.config)
        form: Form = "steps" if steps_form and plan.precision == "fp32" else "loss"
        if plan.parallel == "fsdp":
            form = "blocks"
        fixed, least = self._fixed(), execution.worthwhile_seconds(form)
        if plan.shape.counted:
            fixed = "counts are looked up, which is not compiled"
        if form == "blocks" and not blocks_of(bench.model):
            fixed = "the model has no blocks, which are compiled where weights are sharded"
        if form == "steps" and plan.ranks.many:
            fixed = "several processes add up their gradients in each step"
        if form == "steps" and plan.rows_at_once < plan.own_rows:
            fixed = "a batch is computed in parts"
        too_short = time_budget is not None and 60 * time_budget.minutes < least
        if too_short and training.compile == "auto":
            fixed = fixed or "it would not save time within the time budget"
        available = memory.available_bytes(self.device)
        if not estimate.can_be_tried(available) and training.compile == "auto":
            fixed = fixed or "there is too little memory to try it"
        return execution.compilation(
            training.compile,
            form,
            device=self.device.type,
            fixed=fixed,
            has_compiler=has_compiler(self.device),
            run_seconds=lambda: training.steps * bench.trial_seconds(least / training.steps),
            measure=bench.compiled_ratio,
        )

    def _text_notes(self) -> list[str]:
        """That documents are longer than the context."""
        part, context = self.data.train, self.shape.context_length
        if "model.context_length" not in self.decisions or not part.documents:
            return []
        longer = int((np.diff(part.starts) > context).sum())
        longer_than = f"{'is' if longer == 1 else 'are'} longer than the context of {context}"
        note = f"{counted(longer, 'document')} {longer_than}: read in pieces"
        return [note] if longer else []

    def _counting_notes(self) -> list[str]:
        """That a large text is counted in part."""
        if not self.shape.counted or self.data.train.n_targets <= tuning.LARGE_PART:
            return []
        return [f"counts about {tuning.LARGE_PART:,} tokens, spread over the training part"]

    def _vocabulary_notes(self) -> list[str]:
        """What a large vocabulary costs."""
        tokenizer, part, parameters = self.data.tokenizer, self.data.train, None
        config = self.draft.config().model
        model = build_on_meta(config, tokenizer.vocab_size, tokenizer.end_id)
        logits = scored_logits(model, part.n_targets)
        if not model.fitted:
            small = build_on_meta(config, 256 + self.data.documents, tokenizer.end_id)
            parameters = model.n_parameters, small.n_parameters
            rows = (
                self.rows if self.shape.examples == "windows" else self.rows * self.shape.row_length
            )
            logits = max(logits, rows * tokenizer.vocab_size)
        note = vocabulary_cost(
            tokenizer, logits=logits, bytes_per_token=part.n_bytes / part.n_scored,
            parameters=parameters,
        )  # fmt: skip
        return [note] if note else []
