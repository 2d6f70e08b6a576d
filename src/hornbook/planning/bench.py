"""Steps of a copy, timed: what the decisions about a machine are made from."""

from __future__ import annotations

import copy
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from hornbook.data.batches import Batches, Draw
from hornbook.engine.compiled import Form
from hornbook.engine.device import autocast, preserve_rng_state, synchronize, use_threads
from hornbook.engine.step import OptimizerStep
from hornbook.errors import ConfigError
from hornbook.metrics import typicality
from hornbook.metrics.counts import MOST_TOKENS, mix_with_counts
from hornbook.metrics.loss import batch_loss, mean_nats
from hornbook.metrics.novelty import seconds_of_novelty
from hornbook.models.base import blocks_of
from hornbook.parallel.replicated import has_batchnorm
from hornbook.planning import tuning
from hornbook.planning.decide import memory
from hornbook.planning.decide.vocabulary import bytes_offer
from hornbook.planning.decision import Decision
from hornbook.planning.plan import Plan

K = TypeVar("K")
UNTIMED = 1 << 10  # times the steps that are prepared at once: none of these is timed


class Bench:
    """The model of a plan, on which steps are timed. Nothing outside it changes, no generator either.

    plan: as far as it is decided; a later one of the same model and batch may replace it.
    clock: in seconds.
    """

    def __init__(self, plan: Plan, clock: Callable[[], float] = time.perf_counter) -> None:
        self.plan, self._clock = plan, clock
        self.seconds: dict[int, float] = {}  # of a step, by threads, where that was measured
        with preserve_rng_state(plan.device):
            self.model = plan.build_model()

    def trial(self, precision: str, compiled: Form = "no") -> OptimizerStep:
        """Steps of a copy with few rows."""
        tokens = min(tuning.TRIAL_TOKENS, self._tokens(tuning.TRIAL_OPERATIONS))
        rows = max(2, min(self.plan.own_rows, tokens // self.plan.shape.row_length))
        return self._steps(self._batches(rows), precision, compiled)

    def _tokens(self, operations: float) -> int:
        """Tokens of a step of so many operations; on a GPU as many as one likes."""
        if self.plan.device.type != "cpu":
            return sys.maxsize
        return int(operations / (6 * max(1, self.plan.shape.n_parameters)))

    def _batches(self, rows: int) -> Batches:
        plan = self.plan
        draw = Draw(batch_size=rows, seed=0)
        return plan.shape.build_batches(plan.read_part, draw, plan.device)

    def _steps(self, batches: Batches, precision: str, compiled: Form = "no") -> OptimizerStep:
        model = copy.deepcopy(self.model).train()
        return OptimizerStep(model, batches, self.plan.config, precision, compiled)

    def seconds_by_threads(self, counts: Sequence[int]) -> Mapping[int, float]:
        """Seconds of a step's gradients with each number of threads, by a trial of few rows."""
        step = self.trial("fp32")
        scale = self.plan.own_rows / step.batches.batch_size

        def gradients(n: int, turn: int) -> None:
            with use_threads(n):
                step.gradients(turn)

        seconds = self._in_turns({n: partial(gradients, n) for n in counts})
        self.seconds = {n: scale * took for n, took in seconds.items()}
        return self.seconds

    def bf16_ratio(self) -> float:
        """Seconds of a trial step's gradients in bf16 by those in fp32."""
        full, half = self.trial("fp32"), self.trial("bf16")
        seconds = self._in_turns({"fp32": full.gradients, "bf16": half.gradients})
        return seconds["bf16"] / seconds["fp32"]

    def step_seconds(self, most: float) -> float:
        """Seconds of a whole step: the median of several after one to warm up, within `most`. Of a
        large model it is the second of two steps of few rows."""
        rows = max(2, self._tokens(tuning.TIMED_OPERATIONS) // self.plan.shape.row_length)
        with self._quietly():
            if rows < self.plan.own_rows:
                step = self._steps(self._batches(rows), self.plan.precision)
                seconds = self._median(step, times=1) + self._preparing(step)
                return seconds * self.plan.own_rows / rows
            step = self._steps(self.plan.build_batches(), self.plan.precision)
            seconds = self._median(step, tuning.TIMED_STEPS, min(tuning.TIMED_SECONDS, most))
            return seconds + self._preparing(step)

    def trial_seconds(self, least: float) -> float:
        """Seconds of a step, by a trial of few rows; the first where that is under `least`."""
        with self._quietly():
            step = self.trial(self.plan.precision)
            scale = self.plan.own_rows / step.batches.batch_size
            first = self._time(lambda: step(0)) * scale
            return first if first < least else scale * self._median(step)

    def compiled_ratio(self, form: Form) -> float:
        """Seconds of a compiled step by those of one that is not.

        Raises RuntimeError, or OSError, where it cannot be compiled.
        """
        plain = self.trial(self.plan.precision)
        compiled = self.trial(self.plan.precision, form)

        def several(turn: int) -> None:
            first = turn * compiled.span
            if len(compiled.advance(first, first + compiled.span)) != compiled.span:
                raise RuntimeError("several steps cannot be compiled")

        seconds = self._in_turns({"plain": plain, "compiled": several})
        return seconds["compiled"] / compiled.span / seconds["plain"]

    def _in_turns(self, works: Mapping[K, Callable[[int], object]]) -> dict[K, float]:
        """Median seconds of each work, called with the number of the turn; the first warms up, and
        is all where a time budget has no time for more."""
        seconds: dict[K, list[float]] = {name: [] for name in works}
        minutes, most = self.plan.config.training.minutes, tuning.TRIAL_SECONDS
        if minutes is not None:
            most = min(most, tuning.TRIAL_SHARE * 60 * minutes)
        with self._quietly():
            for turn in range(8):
                for name, work in works.items():
                    seconds[name].append(self._time(partial(work, turn)))
                spent = sum(sum(found[1:]) for found in seconds.values())
                if turn > 1 and spent > most:
                    break
                if minutes is not None and sum(map(sum, seconds.values())) > 2 * most:
                    break
        return {name: statistics.median(found[1:] or found) for name, found in seconds.items()}

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Generators are left as they were, and the threads are those that were decided."""
        with preserve_rng_state(self.plan.device), use_threads(self.plan.threads):
            yield

    def _median(
        self, step: Callable[[int], object], times: int = 5, most: float = math.inf
    ) -> float:
        seconds: list[float] = []
        while len(seconds) <= times and sum(seconds) < most:
            seconds.append(self._time(lambda: step(len(seconds))))
        return statistics.median(seconds[1:] or seconds)

    def _preparing(self, step: OptimizerStep) -> float:
        """A step's share of what is prepared for several at once, which a median leaves out."""
        if step.ahead == 1:
            return 0.0
        return self._time(lambda: step.prepare(UNTIMED * step.ahead)) / step.ahead

    def _time(self, work: Callable[[], object]) -> float:
        begin = self._clock()
        work()
        synchronize(self.plan.device)
        return self._clock() - begin

    def memory_needed(self) -> Callable[[int], memory.MemoryEstimate]:
        """Memory that training takes in one process, by the rows that are computed at once."""
        plan = self.plan
        # at the end the best weights are read to be scored, beside those that were trained
        scoring = memory.report_bytes(self.model, plan.data) + memory.model_bytes(self.model)
        weights = memory.weights_bytes(self.model, plan.config, plan.shards)
        kept = self.kept_bytes(2), self.kept_bytes(3)  # of one row BatchNorm has no variance
        return lambda rows: memory.estimate_memory(weights, kept, rows, scoring)

    def available_memory(self) -> int | None:
        """Bytes that this process can still have; None if unknown."""
        return memory.own_bytes(self.plan.device, self.plan.ranks.launch.local_world_size)

    def checkpointing(
        self, needed: Callable[[int], memory.MemoryEstimate], least: int
    ) -> Decision[Literal["yes", "no"]]:
        """Whether activations are computed again; least: rows that are computed at once in any case."""
        blocks = len(blocks_of(self.model))
        return memory.checkpointing(needed, self.available_memory(), least, blocks=blocks)

    def micro_batch(self, needed: Callable[[int], memory.MemoryEstimate]) -> Decision[int | None]:
        """How many rows are computed at once, by the memory that these need."""
        whole = "batchnorm measures the whole batch" if has_batchnorm(self.model) else ""
        rows, available = self.plan.own_rows, self.available_memory()
        return memory.micro_batch(needed, rows, available, whole=whole)

    def estimate_memory(
        self, needed: Callable[[int], memory.MemoryEstimate] | None = None
    ) -> tuple[memory.MemoryEstimate, Decision[str]]:
        """Memory that training takes, also in words. Raises ConfigError where it is not available, or
        where a batch cannot be divided as requested."""
        plan = self.plan
        if plan.rows_at_once < plan.own_rows and has_batchnorm(self.model):
            raise ConfigError(
                f"training.micro_batch: found {plan.rows_at_once} for a model with batchnorm, which "
                f"measures the whole batch of {plan.own_rows}; leave it out, or choose another norm "
                "(--model.norm layernorm)"
            )
        estimate = (needed or self.memory_needed())(plan.rows_at_once)
        words = memory.check_memory(
            estimate,
            self.available_memory(),
            batch_size=plan.rows,
            model=plan.config.model.name,
            offer=bytes_offer(plan.data.tokenizer),
        )
        return estimate, Decision(words, "estimated")

    def kept_bytes(self, rows: int) -> int:
        """Bytes that a batch of so many rows keeps for its backward pass."""
        plan, kept = self.plan, dict[int, int]()
        model = copy.deepcopy(self.model).train()  # BatchNorm's statistics are left as they are
        own = {p.data_ptr() for p in model.parameters()}

        def pack(tensor: Tensor) -> Any:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor.detach()  # the tensor itself would keep its graph alive for good

        generator = torch.Generator("cpu").manual_seed(0)
        shape = (rows, plan.shape.row_length)
        ids = torch.randint(model.vocab_size, shape, generator=generator, device="cpu")
        ids = ids.to(plan.device)
        targets = ids if plan.shape.examples == "sequences" else ids[:, -1]
        with (
            preserve_rng_state(plan.device),
            autocast(plan.device, plan.precision),
            torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        ):
            batch_loss(model, ids, targets)
        return sum(kept.values())

    def report_seconds(self, counted: int = MOST_TOKENS) -> tuple[float, float]:
        """Seconds that an evaluation will take, and the report, which begins with one; what samples
        and the loss are compared with is prepared.

        counted: tokens that the search for the best counts takes at most.
        """
        plan, data, index = self.plan, self.plan.data, self.plan.text_index
        mixing = 0.0
        if data.split.held_out:
            counts = index.best_counts(data.train, data.validation, data.tokenizer, counted)
            mixing = self._time(lambda: mix_with_counts(counts.nats, counts.nats, data.validation))
        with self._quietly():
            token, novelty = seconds_of_novelty(self.model, data.tokenizer, index)
        own = token  # in the precision of the steps
        if (few := self._tokens(tuning.TIMED_OPERATIONS)) < tuning.TRAINING_SAMPLE:
            token, own = (self._token_seconds(few, name) for name in ("fp32", plan.precision))
        evaluation = own * plan.tokens_per_evaluation
        texts = token * min(data.validation.n_targets, typicality.TOKENS)
        # it also shows samples, and may measure the last weights, too; in float32 the losses are known
        again = 0.0 if plan.precision == "fp32" else token * plan.tokens_per_evaluation
        if self.model.parts:  # which are measured at the end, too: counts, and what else there is
            again += evaluation * (tuning.COUNTS_EVALUATION + len(self.model.parts) - 1)
        if plan.start is not None and plan.start.old is not None:
            again += token * plan.start.old.validation.n_targets
        return evaluation, again + texts + mixing + 2 * novelty + tuning.REPORT_OVERHEAD

    def _token_seconds(self, few: int, precision: str) -> float:
        """Seconds for each token while so few of the validation part are scored."""
        plan, context = self.plan, max(1, self.model.context_length)
        some = plan.data.validation.spread(few, context, plan.data.tokenizer)
        with self._quietly(), autocast(plan.device, precision):
            seconds = self._time(lambda: mean_nats(self.model, some))
        return seconds / sum(part.n_targets for part in some)
