"""A corpus ready to be trained on: read, split and turned into tokens once."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Literal

from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.data.corpus import Corpus
from hornbook.data.part import Part
from hornbook.data.split import Split, split_corpus
from hornbook.stages import stage
from hornbook.tokenizers.base import Tokenizer
from hornbook.tokenizers.registry import build_tokenizer


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """A corpus, its tokenizer, its split, and the parts that are trained and validated on.

    notes: what was changed, left out or chosen on the way, for the user to see.
    counted: models that have counted the training part, by `LanguageModel.counting`: what one of them
        has counted the others take over.
    """

    corpus: Corpus
    tokenizer: Tokenizer
    split: Split
    train: Part
    validation: Part
    notes: tuple[str, ...] = ()
    counted: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def documents(self) -> bool:
        """Whether the corpus is documents rather than one stream."""
        return self.split.documents


def load_training_data(config: DataConfig, tokenizer_kind: Literal["char", "byte"]) -> TrainingData:
    """The data of a new run: the corpus that the settings name, and a tokenizer built for it.

    Raises ConfigError or DataError where the text cannot be read, split or encoded.
    """
    with stage("reading the text"):
        corpus = load_corpus(config)
    documents = corpus.kind == "documents"
    tokenizer = build_tokenizer(tokenizer_kind, corpus.alphabet, documents=documents)
    return tokenize(corpus, config, tokenizer)


def tokenize(corpus: Corpus, config: DataConfig, tokenizer: Tokenizer) -> TrainingData:
    """The data of a run whose corpus is read and whose tokenizer exists. Raises DataError."""
    with stage("turning the text into tokens"):
        split = split_corpus(corpus, config, tokenizer)
        train, validation = (split.part(name, tokenizer) for name in ("train", "validation"))
    return TrainingData(
        corpus=corpus,
        tokenizer=tokenizer,
        split=split,
        train=train,
        validation=validation,
        notes=(*corpus.notes, *split.notes),
    )
