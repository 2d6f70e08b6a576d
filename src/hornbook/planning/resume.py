"""The plan of a run that exists: nothing is decided or measured any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch

from hornbook.config import RunConfig
from hornbook.data.training_data import TrainingData
from hornbook.engine.device import find_device
from hornbook.models.registry import build_on_meta
from hornbook.optim.schedules import Schedule
from hornbook.planning.bench import Bench
from hornbook.planning.counts import counts_memory
from hornbook.planning.decision import Decision
from hornbook.planning.plan import Plan
from hornbook.planning.shape import Shape
from hornbook.planning.start import Start


def plan_of_run(
    config: RunConfig,
    facts: Mapping[str, Any],
    data: TrainingData,
    schedule: Schedule,
    notes: tuple[str, ...] = (),
    start: Start | None = None,
) -> Plan:
    """The plan by the settings and facts of config.json. Raises ConfigError where memory is short."""
    tokenizer = data.tokenizer
    model = build_on_meta(config.model, tokenizer.vocab_size, tokenizer.end_id)
    hardware = {name: facts["hardware"][name] for name in ("threads", "precision", "compiled")}
    hardware["threads"] = hardware["threads"] or torch.get_num_threads()
    decisions: dict[str, Decision[Any]] = {
        name: Decision(value, "as before") for name, value in hardware.items()
    }
    shape = Shape.of(model, data, config.training, config.finetuning.replay)
    plan = Plan(
        config=config,
        data=data,
        device=find_device(config.training.device),
        shape=shape,
        schedule=schedule,
        max_steps=None if shape.fitted else shape.max_steps(config.training.batch_size),
        decisions=MappingProxyType(decisions),
        notes=notes,
        start=start,
        **hardware,
    )
    if shape.counted:  # refused before anything is counted
        memory, decision = counts_memory(plan)
    if not shape.fitted:
        memory, decision = Bench(plan).estimate_memory()
    return replace(
        plan, memory=memory, decisions=MappingProxyType({**decisions, "memory": decision})
    )
