"""The plan of a run that exists: nothing is decided or measured any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from hornbook.config import RunConfig
from hornbook.data.training_data import TrainingData
from hornbook.engine.compiled import Form
from hornbook.engine.device import find_device
from hornbook.models.registry import build_on_meta
from hornbook.optim.schedules import Schedule
from hornbook.parallel.ranks import SINGLE, Ranks
from hornbook.parallel.shards import replicas_of
from hornbook.planning.bench import Bench
from hornbook.planning.counts import counts_memory
from hornbook.planning.decide import batches, execution, memory
from hornbook.planning.decision import REQUESTED, Decision
from hornbook.planning.plan import Plan
from hornbook.planning.shape import Shape, threads_available
from hornbook.planning.start import Start


def plan_of_run(
    config: RunConfig,
    facts: Mapping[str, Any],
    data: TrainingData,
    schedule: Schedule,
    notes: tuple[str, ...] = (),
    start: Start | None = None,
    ranks: Ranks = SINGLE,
) -> Plan:
    """The plan by the settings and facts of config.json. Raises ConfigError where memory is short.

    Where it is trained by another number of processes than before, threads and what is computed at once
    are decided for these, unless they were requested.
    """
    tokenizer = data.tokenizer
    model = build_on_meta(config.model, tokenizer.vocab_size, tokenizer.end_id)
    hardware = {name: facts["hardware"][name] for name in ("threads", "precision", "compiled")}
    others = facts["hardware"].get("ranks", 1) != ranks.world_size
    if others and config.training.threads == "auto":
        hardware["threads"] = None
    hardware["threads"] = hardware["threads"] or threads_available(ranks)
    decisions: dict[str, Decision[Any]] = {
        name: Decision(value, "as before") for name, value in hardware.items()
    }
    if others:
        decisions["threads"] = Decision(hardware["threads"], "its share of the cores")
    device = find_device(config.training.device)
    if ranks.many and (others or "parallel" not in facts["hardware"]):
        requested = config.training.replicas
        if (replicas := replicas_of(requested, ranks.world_size)) != requested:
            weights = "1 replica" if replicas == 1 else f"{replicas} replicas"
            found = f"training.replicas: {requested} do not divide {ranks.world_size} processes"
            notes = (*notes, f"{found}; the weights have {weights}")
        needed = memory.weights_bytes(model, config)
        available = memory.own_bytes(device, ranks.launch.local_world_size)
        decisions["parallel"] = execution.parallel(
            config.training.parallel, replicas, ranks.world_size,
            needed=needed, available=available,
        )  # fmt: skip
    elif ranks.many:
        decisions["parallel"] = Decision(facts["hardware"]["parallel"], "as before")
    if ranks.many:
        hardware["parallel"] = decisions["parallel"].value
    found = _compiled(hardware["compiled"], ranks, hardware.get("parallel", "ddp"))
    hardware["compiled"], decisions["compiled"] = found, Decision(found, "as before")
    shape = Shape.of(model, data, config.training, config.finetuning.replay)
    plan = Plan(
        config=config,
        data=data,
        device=device,
        shape=shape,
        schedule=schedule,
        max_steps=None if shape.fitted else shape.max_steps(config.training.batch_size),
        decisions=MappingProxyType(decisions),
        notes=notes,
        start=start,
        ranks=ranks,
        **hardware,
    )
    if shape.counted:  # refused before anything is counted
        estimate, decision = counts_memory(plan)
    if not shape.fitted:
        batches.check_ranks(plan.rows, ranks.world_size, 2 if shape.examples == "windows" else 1)
        bench = Bench(plan)
        by_rows = bench.memory_needed()
        micro_batch = facts.get("decisions", {}).get("training.micro_batch", {})
        if others and micro_batch.get("reason") != REQUESTED:
            bench.plan = plan = _divided(plan, bench.micro_batch(by_rows))
        estimate, decision = bench.estimate_memory(by_rows)
    return replace(
        plan, memory=estimate, decisions=MappingProxyType({**plan.decisions, "memory": decision})
    )


def _compiled(before: Form, ranks: Ranks, parallel: str) -> Form:
    """What is compiled of a run that is resumed: as before, in the form that its processes allow."""
    if before == "steps" and ranks.many:
        return "no"
    if before in ("loss", "blocks"):
        return "blocks" if parallel == "fsdp" else "loss"
    return before


def _divided(plan: Plan, micro_batch: Decision[int | None]) -> Plan:
    """The plan with another number of rows computed at once."""
    training = plan.config.training.model_copy(update={"micro_batch": micro_batch.value})
    return replace(
        plan,
        config=plan.config.model_copy(update={"training": training}),
        decisions={**plan.decisions, "training.micro_batch": micro_batch},
    )
