"""A trained model that training may begin from, wherever it comes from, in one form."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from hornbook.config import ModelConfig
from hornbook.runs.directory import StoredRun
from hornbook.tokenizers.base import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Base:
    """Settings, tokenizer and weights of a trained model.

    source: as it was given. path: the directory or file. model: the settings of the model. tensors: its
    weights, float32, named as in `LanguageModel.state_dict`. sha256: of the file of weights; of several
    files, of their sha256 in the order of their names.
    run: where it is a run of hornbook, from which its text and losses are known; else None.
    form: what it is, in a word: "run", "LlamaForCausalLM", "GGUF of llama". notes: what is not as where
    it comes from, one sentence each. template: of a message of a conversation (`Template`), if it was
    trained on such.
    """

    source: str
    path: Path
    model: ModelConfig
    tokenizer: Tokenizer
    tensors: dict[str, Tensor] = field(repr=False)
    sha256: str
    run: StoredRun | None = None
    form: str = "run"
    notes: tuple[str, ...] = ()
    template: str = ""
