"""Everything that a run needs of its text: read, split and turned into tokens once."""

from __future__ import annotations

from dataclasses import dataclass

from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.data.corpus import Corpus
from hornbook.data.part import Part
from hornbook.data.split import Split, split_corpus
from hornbook.tokenizers.base import Tokenizer
from hornbook.tokenizers.registry import build_tokenizer


@dataclass(frozen=True)
class TrainingData:
    """A corpus, its tokenizer, its split, and the parts that are trained and validated on.

    notes: what was changed, left out or chosen on the way, for the user to see.
    """

    corpus: Corpus
    tokenizer: Tokenizer
    split: Split
    train: Part
    validation: Part
    notes: tuple[str, ...]


def load_training_data(config: DataConfig, tokenizer_kind: str) -> TrainingData:
    """The data of a new run; `tokenizer_kind` is char or byte.

    Raises ConfigError or DataError where the text cannot be read, split or encoded.
    """
    corpus = load_corpus(config)
    documents = corpus.kind == "documents"
    tokenizer = build_tokenizer(tokenizer_kind, corpus.alphabet, documents=documents)
    return training_data(corpus, config, tokenizer)


def training_data(corpus: Corpus, config: DataConfig, tokenizer: Tokenizer) -> TrainingData:
    """The data of a run whose corpus is read and whose tokenizer exists. Raises DataError."""
    split = split_corpus(corpus, config, tokenizer)
    return TrainingData(
        corpus=corpus,
        tokenizer=tokenizer,
        split=split,
        train=split.part("train", tokenizer),
        validation=split.part("validation", tokenizer),
        notes=(*corpus.notes, *split.notes),
    )
