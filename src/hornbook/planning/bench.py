"""Steps of a copy, timed: what the decisions about a machine are made from."""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hornbook.config import RunConfig
from hornbook.data.batches import Batches, Draw
from hornbook.data.training_data import TrainingData
from hornbook.engine.compiled import Form
from hornbook.engine.device import autocast, preserve_rng_state, synchronize, use_threads
from hornbook.engine.step import OptimizerStep
from hornbook.metrics.loss import batch_loss
from hornbook.metrics.novelty import seconds_of_novelty
from hornbook.metrics.text_index import TextIndex
from hornbook.planning.decide.batches import BatchSize
from hornbook.planning.decide.execution import ratio_of_pairs
from hornbook.planning.plan import build_training_model
from hornbook.planning.shape import Shape, draw_of
from hornbook.planning.tuning import (
    REPORT_OVERHEAD,
    TRIAL_OPERATIONS,
    TRIAL_SECONDS,
    TRIAL_TOKENS,
)


class Bench:
    """A model on a text, on which steps are timed. Nothing outside it changes, no generator either.

    batch_size: of the settings, once the context is known. clock: in seconds. threads: with which
    steps are timed.
    """

    def __init__(
        self,
        config: RunConfig,
        data: TrainingData,
        shape: Shape,
        device: torch.device,
        batch_size: BatchSize,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.config, self.data, self.shape, self.device = config, data, shape, device
        self.threads, self._clock = torch.get_num_threads(), clock
        self._draw = replace(draw_of(config.training), batch_size=batch_size)
        self._rows = shape.rows(batch_size)
        with preserve_rng_state(device):
            self.model = build_training_model(config, data, device)

    def batches(self) -> Batches:
        """The batches of a run."""
        return self.shape.build_batches(self.data, self._draw, self.device)

    def trial(self, precision: str, compiled: Form = "no") -> OptimizerStep:
        """Steps of a copy with few rows."""
        tokens = TRIAL_TOKENS
        if self.device.type == "cpu":
            tokens = min(tokens, int(TRIAL_OPERATIONS / (6 * max(1, self.shape.n_parameters))))
        rows = max(2, min(self._rows, tokens // self.shape.row_length))
        return self._steps(Draw(batch_size=rows, seed=0), precision, compiled)

    def _steps(self, draw: Draw, precision: str, compiled: Form = "no") -> OptimizerStep:
        batches = self.shape.build_batches(self.data, draw, self.device)
        model = copy.deepcopy(self.model).train()
        return OptimizerStep(model, batches, self.config, precision, compiled)

    def seconds_by_threads(self, counts: Sequence[int]) -> Mapping[int, float]:
        """Seconds of a trial step with each number of threads, in turns, medians."""
        with preserve_rng_state(self.device):
            step = self.trial("fp32")
            seconds: dict[int, list[float]] = {n: [] for n in counts}
            begin = self._clock()
            for turn in range(8):
                for n in counts:
                    with use_threads(n):
                        took = self._time(lambda: step.gradients(0))
                    seconds[n] += [took] if turn else []  # the first warms up
                if turn > 1 and self._clock() - begin > TRIAL_SECONDS:
                    break
        return {n: statistics.median(found) for n, found in seconds.items()}

    def bf16_ratio(self) -> float:
        """Seconds of a trial step's gradients in bf16 by those in fp32."""
        with self._quietly():
            full, half = self.trial("fp32"), self.trial("bf16")
            return ratio_of_pairs(
                lambda: (
                    self._time(lambda: full.gradients(0)),
                    self._time(lambda: half.gradients(0)),
                ),
                TRIAL_SECONDS,
            )

    def step_seconds(self, precision: str, *, times: int = 5, most: float = math.inf) -> float:
        """Seconds of a whole step: the median of `times`, after one to warm up, within `most`."""
        with self._quietly():
            step = self._steps(self._draw, precision)
            return self._median(step, times, most)

    def trial_seconds(self, precision: str, least: float) -> float:
        """Seconds of a step, by a trial of few rows; the first where that is under `least`."""
        with self._quietly():
            step = self.trial(precision)
            scale = self._rows / step.batches.batch_size
            first = self._time(lambda: step(0)) * scale
            return first if first < least else scale * self._median(step, 5, math.inf)

    def compiled_ratio(self, precision: str, form: Form) -> float:
        """Seconds of a compiled step by those of one that is not.

        Raises RuntimeError, or OSError, where it cannot be compiled.
        """
        with self._quietly():
            plain, compiled = self.trial(precision), self.trial(precision, form)

            def several(call: int) -> None:
                first = call * compiled.span
                if len(compiled.advance(first, first + compiled.span)) != compiled.span:
                    raise RuntimeError("several steps cannot be compiled")

            each = self._median(several, 5, math.inf) / compiled.span
            return each / self._median(plain, 5, math.inf)

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Generators are left as they were, and the threads are those that were decided."""
        with preserve_rng_state(self.device), use_threads(self.threads):
            yield

    def _median(self, step: Callable[[int], object], times: int, most: float) -> float:
        seconds: list[float] = []
        while len(seconds) <= times and sum(seconds) < most:
            seconds.append(self._time(lambda: step(len(seconds))))
        return statistics.median(seconds[1:] or seconds)

    def _time(self, work: Callable[[], object]) -> float:
        begin = self._clock()
        work()
        synchronize(self.device)
        return self._clock() - begin

    def kept_bytes(self, precision: str) -> tuple[int, int]:
        """Bytes that batches of two and of three rows keep for their backward pass."""
        return self._kept(2, precision), self._kept(
            3, precision
        )  # of one BatchNorm has no variance

    def _kept(self, rows: int, precision: str) -> int:
        own = {p.data_ptr() for p in self.model.parameters()}
        kept: dict[int, int] = {}

        def pack(tensor: Tensor) -> Any:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor.detach()  # the tensor itself would keep its graph alive for good

        generator = torch.Generator().manual_seed(0)
        shape = (rows, self.shape.row_length)
        ids = torch.randint(self.model.vocab_size, shape, generator=generator).to(self.device)
        targets = ids if self.shape.examples == "sequences" else ids[:, -1]
        with preserve_rng_state(self.device):
            model = copy.deepcopy(self.model).train()  # BatchNorm's statistics are left as they are
            own |= {p.data_ptr() for p in model.parameters()}
            with (
                autocast(self.device, precision),
                torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
            ):
                batch_loss(model, ids, targets)
        return sum(kept.values())

    def report_seconds(self, index: TextIndex) -> tuple[float, float]:
        """Seconds that an evaluation will take, and the report, which begins with one; what samples
        are compared with is prepared."""
        with self._quietly():
            token, novelty = seconds_of_novelty(self.model, self.data.tokenizer, index)
        evaluation = token * self.data.validation.n_targets
        # it also shows samples, and may measure the last weights, too
        return evaluation, evaluation + 2 * novelty + REPORT_OVERHEAD
