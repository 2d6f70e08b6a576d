"""What counting takes, known before anything is counted."""

from __future__ import annotations

import torch

from hornbook.models.registry import build_on_meta
from hornbook.planning.decide import memory
from hornbook.planning.decide.vocabulary import bytes_offer
from hornbook.planning.decision import Decision
from hornbook.planning.plan import Plan
from hornbook.planning.tuning import LARGE_PART


def counts_memory(plan: Plan) -> tuple[memory.MemoryEstimate, Decision[str]]:
    """Memory that counting and scoring take, also in words. Raises ConfigError where it is not
    available."""
    data, tokenizer = plan.data, plan.data.tokenizer
    model = build_on_meta(plan.config.model, tokenizer.vocab_size, tokenizer.end_id)
    return memory.memory_of_counts(
        model,
        n_tokens=min(data.train.n_targets, LARGE_PART),
        scoring=memory.report_bytes(model, data, scored=data.train.n_targets),
        available=memory.available_bytes(torch.device("cpu")),  # where counting is done
        offer=bytes_offer(tokenizer),
    )
