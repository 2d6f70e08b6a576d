"""The available models by name. Listing imports no torch; a model is imported when it is built."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from hornbook.config import SECTIONS, ModelConfig, RunConfig, presets
from hornbook.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from hornbook.models.base import LanguageModel


@dataclass(frozen=True)
class Entry:
    """A model of the registry: its class as "module.Class", one line of what it is, its source."""

    path: str
    line: str
    source: str
    trained: bool = True  # False: made from runs by `hornbook mix`

    @property
    def model(self) -> type[LanguageModel]:
        """The class of the model."""
        return cast("type[LanguageModel]", self._load(""))

    @property
    def config(self) -> type[ModelConfig]:
        """The class of its settings, named as the model with "Config"."""
        return cast(type[ModelConfig], self._load("Config"))

    def _load(self, ending: str) -> Any:
        module, name = self.path.split(".")
        return getattr(importlib.import_module(f"hornbook.models.{module}"), name + ending)


MODELS = {
    "ngram": Entry(
        "ngram.NGram",
        "counts of the last few tokens, smoothed; fitted in one pass",
        "Kneser and Ney 1995; Chen and Goodman 1999 (modified, interpolated)",
    ),
    "bigram": Entry(
        "bigram.Bigram",
        "one row of logits for each token, trained: the smallest neural model",
        "the notes, Bigram",
    ),
    "mlp": Entry(
        "mlp.MLP",
        "the last few tokens' embeddings, hidden layers (tanh, ReLU ...); batchnorm or layernorm",
        "Bengio et al. 2003; the notes, Trigram+MLP and BatchNorm",
    ),
    "wavenet": Entry(
        "wavenet.WaveNet",
        "neighbors joined two by two, level by level: dilated causal convolutions",
        "van den Oord et al. 2016; the notes, WaveNet",
    ),
    "rnn": Entry("rnn.RNN", "a state that each token changes", "Elman 1990; Mikolov et al. 2010"),
    "lstm": Entry(
        "rnn.RNN",
        "a state and a memory with input, forget and output gates",
        "Hochreiter and Schmidhuber 1997",
    ),
    "gru": Entry("rnn.RNN", "a state mixed with a candidate by gates", "Cho et al. 2014"),
    "bow": Entry(
        "bow.Bow",
        "a bag of words: the plain average of earlier tokens, then a small MLP",
        "the notes, Attention versions 1 to 3; makemore",
    ),
    "gpt2": Entry(
        "gpt2.GPT2",
        "the notes' GPT: learned positions, LayerNorm, ReLU or GELU, dropout",
        "Radford et al. 2019; the notes, GPT",
    ),
    "gpt": Entry(
        "gpt.GPT",
        "a modern GPT: RMSNorm, rotary positions, QK-norm, SwiGLU, grouped queries",
        "Qwen3 technical report 2025; Su et al. 2021; Shazeer 2020",
    ),
    "mixture": Entry(
        "mixture.Mixture",
        "trained runs averaged, made by `hornbook mix`",
        "Jelinek and Mercer 1980; Hansen and Salamon 1990",
        trained=False,
    ),
}


OTHER_NAMES = {  # what people call a model -> its name here
    "attention": "gpt",
    "bag-of-words": "bow",
    "cnn": "wavenet",
    "counts": "ngram",
    "llama": "gpt",
    "markov": "ngram",
    "nanogpt": "gpt2",
    "perceptron": "mlp",
    "transformer": "gpt",
    "trigram": "ngram",
}


def model_config(settings: Mapping[str, Any]) -> ModelConfig:
    """The configuration of the model that `settings["name"]` names.

    Raises ConfigError for an unknown model or field.
    """
    return config_class(str(settings.get("name", ""))).parse(settings, "model")


def config_class(name: str) -> type[ModelConfig]:
    """The class of a model's settings. Raises ConfigError for an unknown model."""
    if name not in MODELS:
        if preset := presets.meant_by(name):
            hint = f"; give the preset {preset!r} instead"
        else:
            hint = did_you_mean(name, MODELS, OTHER_NAMES)
        raise ConfigError(f"model: found {name!r}, no such model{hint}")
    return MODELS[name].config


def parse_run_config(data: Mapping[str, Any]) -> RunConfig:
    """The settings of a run from plain data. Raises ConfigError."""
    if unknown := sorted(data.keys() - SECTIONS.keys()):
        raise ConfigError(f"{unknown[0]}: no such section of the settings")
    sections: dict[str, Any] = {}
    wrong: list[str] = []
    for name, cls in SECTIONS.items():
        try:
            fields = data.get(name, {})
            sections[name] = model_config(fields) if name == "model" else cls.parse(fields, name)
        except ConfigError as error:
            wrong.append(str(error))
    if wrong:
        raise ConfigError("\n".join(wrong))
    return RunConfig(**sections)


def build_model(config: ModelConfig, vocab_size: int, end_id: int | None) -> LanguageModel:
    """A fresh model in float32 on the CPU, initialized from torch's global generator."""
    from hornbook.process import standard_defaults

    with standard_defaults():
        return construct(config, vocab_size, end_id)


def build_empty(config: ModelConfig, vocab_size: int, end_id: int | None) -> LanguageModel:
    """A model whose weights are to be loaded: arbitrary, and no random number is drawn for them, so
    that it can be built while another is trained."""
    import torch
    from torch.overrides import TorchFunctionMode

    from hornbook.process import standard_defaults

    class SkipDraws(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            if func in (torch.randn, torch.rand):
                return torch.empty(*args, **kwargs)
            module, name = getattr(func, "__module__", ""), getattr(func, "__name__", "")
            if module == "torch.nn.init" or name in ("normal_", "uniform_"):
                return kwargs["tensor"] if "tensor" in kwargs else args[0]
            return func(*args, **kwargs)

    with standard_defaults(), SkipDraws():
        return construct(config, vocab_size, end_id)


def construct(config: ModelConfig, vocab_size: int, end_id: int | None) -> LanguageModel:
    """A fresh model by torch's defaults as they are, which the functions beside this one set."""
    build: Callable[..., LanguageModel] = MODELS[config.name].model
    return build(config, vocab_size, end_id)


def build_on_meta(config: ModelConfig, vocab_size: int, end_id: int | None) -> LanguageModel:
    """The model on the device `meta`: names, shapes and dtypes, no memory, no random numbers.

    Raises ConfigError where its sizes are beyond any machine.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    from hornbook.process import standard_defaults

    class SkipValues(TorchFunctionMode):
        """Skips what only sets values. On `meta` there are none, and torch would import its compiler
        (a second) to infer their shapes."""

        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func.__name__ in ("normal_", "uniform_", "zeros_", "mul_", "div", "orthogonal_"):
                return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
            return (torch.empty if func is torch.randn else func)(*args, **(kwargs or {}))

    try:
        with standard_defaults(), torch.device("meta"), SkipValues():
            return construct(config, vocab_size, end_id)
    except (RuntimeError, OverflowError, TypeError) as error:
        raise ConfigError(f"model: a model of these sizes cannot be built: {error}") from None
