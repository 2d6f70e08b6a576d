"""The plan of a run that exists: nothing is decided or measured any more."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

from hornbook.config import RunConfig
from hornbook.data.training_data import TrainingData
from hornbook.engine.device import find_device
from hornbook.models.registry import build_on_meta
from hornbook.optim.schedules import Schedule
from hornbook.planning.bench import Bench
from hornbook.planning.decide import memory
from hornbook.planning.decision import Decision
from hornbook.planning.plan import Plan
from hornbook.planning.shape import Shape

AS_BEFORE = "as before"


def plan_of_run(
    config: RunConfig,
    facts: Mapping[str, Any],
    data: TrainingData,
    schedule: Schedule,
    notes: tuple[str, ...] = (),
) -> Plan:
    """The plan by the settings and facts of config.json. Raises ConfigError where memory is short."""
    training, tokenizer = config.training, data.tokenizer
    device = find_device(training.device)
    model = build_on_meta(config.model, tokenizer.vocab_size, tokenizer.end_id)
    shape, hardware = Shape.of(model, data, training), facts["hardware"]
    threads = hardware["threads"] or torch.get_num_threads()
    decisions: dict[str, Decision[Any]] = {
        "threads": Decision(threads, AS_BEFORE),
        "precision": Decision(hardware["precision"], AS_BEFORE),
        "compiled": Decision(hardware["compiled"], AS_BEFORE),
    }
    estimate = None
    if not shape.fitted:
        rows = shape.rows(training.batch_size)
        bench = Bench(config, data, shape, device, training.batch_size)
        estimate = memory.estimate_memory(
            memory.weights_bytes(model, config.optim), bench.kept_bytes(hardware["precision"]), rows,
            tokenizer.vocab_size,
        )  # fmt: skip
        words = memory.check_memory(
            estimate, memory.available_bytes(device), batch_size=rows, model=config.model.name
        )
        decisions["memory"] = Decision(words, "estimated")
    return Plan(
        config=config,
        data=data,
        device=device,
        shape=shape,
        schedule=schedule,
        threads=threads,
        precision=hardware["precision"],
        compiled=hardware["compiled"],
        memory=estimate,
        decisions=MappingProxyType(decisions),
        notes=notes,
    )
