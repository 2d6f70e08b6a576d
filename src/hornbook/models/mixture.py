"""Several models as one: their probabilities, averaged with fixed weights.

Models err differently: counts memorize rare spellings, a network knows what they have in common. Made
from trained runs (`experiments/mixture.py`), not trained itself.
Jelinek and Mercer 1980 for mixtures of n-grams; ensembles of networks: Hansen and Salamon 1990.

B batch, T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from hornbook.config import ModelConfig
from hornbook.errors import RunError
from hornbook.models.base import DecodingState, LanguageModel, Window, check_names
from hornbook.models.registry import construct, model_config

MAX_LAYERS = 1024  # of all components together


class MixtureConfig(ModelConfig):
    """The settings of each component and its weight."""

    name: Literal["mixture"] = "mixture"
    components: tuple[dict[str, Any], ...] = Field(
        ({"name": "ngram", "order": 3}, {"name": "bigram"}),
        min_length=1,
        max_length=64,
        description="settings of the models that are averaged",
    )
    weights: tuple[float, ...] = Field((0.5, 0.5), description="their weights, which sum to 1")

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if len(self.weights) != len(self.components) or min(self.weights) <= 0:
            raise ValueError("model.weights: expected one above 0 for each component")
        if abs(sum(self.weights) - 1) > 1e-6:
            raise ValueError(f"model.weights: found a sum of {sum(self.weights):g}, expected 1")
        if any(component.get("name") == "mixture" for component in self.components):
            raise ValueError("model.components: found a mixture in a mixture; mix its components")
        return self


class Mixture(LanguageModel):
    """log of the weighted mean of the components' probabilities."""

    def __init__(self, config: MixtureConfig, vocab_size: int, end_id: int | None) -> None:
        configs = [model_config(component) for component in config.components]
        layers = sum(getattr(component, "n_layer", 1) for component in configs)
        if layers > MAX_LAYERS:  # each takes milliseconds to build, before any weights are read
            raise RunError(
                f"model.components: found {layers:,} layers in all, expected at most {MAX_LAYERS:,}; "
                "mix fewer or smaller models"
            )
        models = [construct(component, vocab_size, end_id) for component in configs]
        bounded = [m.context_length for m in models if not m.sliding]
        longest = max(m.context_length for m in models)
        super().__init__(config, vocab_size, end_id, min(bounded, default=longest))
        self.models = nn.ModuleList(models)
        self.sliding = not bounded  # type: ignore[misc]  # a row is as long as every component allows
        self.register_buffer("log_weights", torch.tensor(config.weights).log(), persistent=False)

    @property
    def components(self) -> list[LanguageModel]:
        """The models that are averaged."""
        return [model for model in self.models if isinstance(model, LanguageModel)]

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> log probabilities (B, T, V)."""
        if not self.sliding:
            self.check_length(ids)
        return self.mean([model(ids) for model in self.components])

    def next_logits(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, V)."""
        return self.mean([model.next_logits(ids) for model in self.components])

    def start(self, ids: Tensor, window: Window = "half") -> tuple[Tensor, DecodingState]:
        """Each component by itself, with as much context as it has; its state is in the cache."""
        logits, states = zip(*(model.start(ids, window) for model in self.components), strict=True)
        return self.mean(list(logits)), DecodingState(ids[:, :0], states)

    def step(self, ids: Tensor, state: DecodingState) -> Tensor:
        """One token for each component."""
        states = zip(self.components, state.cache, strict=True)
        return self.mean([model.step(ids, own) for model, own in states])

    def mean(self, logits: list[Tensor]) -> Tensor:
        """Log of the weighted mean of the components' probabilities, from logits (..., V) of each."""
        log_p = torch.stack([x.float().log_softmax(-1) for x in logits], dim=-1)
        return (log_p + self.get_buffer("log_weights")).logsumexp(-1)

    @property
    def n_parameters(self) -> int:
        """Those of its components in all."""
        return sum(model.n_parameters for model in self.components)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """The components' weights, `models.<i>.<name>`. Raises RunError where they do not fit."""
        self.check_weights(weights)
        for model, own in self._by_component(weights):
            model.load_weights(own)

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Those of each component. Raises RunError where they do not fit."""
        for model, own in self._by_component(weights):
            model.check_weights(own)
        prefixes = tuple(f"models.{i}." for i in range(len(self.models)))
        check_names([], [name for name in weights if not name.startswith(prefixes)])

    def _by_component(
        self, weights: Mapping[str, Tensor]
    ) -> Iterator[tuple[LanguageModel, dict[str, Tensor]]]:
        for i, model in enumerate(self.components):
            prefix = f"models.{i}."
            yield (
                model,
                {n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)},
            )
