"""A corpus ready to be trained on: read, split and tokenized once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hornbook.config import DataConfig
from hornbook.data.corpora import load_corpus
from hornbook.data.part import Part, Split, split_corpus
from hornbook.data.text import Corpus
from hornbook.tokenizers import Tokenizer, build_tokenizer


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """A corpus, its split, and the two parts of it that training needs as tokens.

    notes: what is worth knowing about the text, for the user.
    """

    corpus: Corpus
    tokenizer: Tokenizer
    split: Split
    train: Part
    validation: Part
    notes: tuple[str, ...] = ()

    @property
    def documents(self) -> bool:
        """Whether the corpus is documents rather than one stream."""
        return self.split.documents


def load_training_data(config: DataConfig, tokenizer_kind: Literal["char", "byte"]) -> TrainingData:
    """Reads, splits and tokenizes the corpus that the settings name.

    Raises DataError where it cannot be read, or a part would be empty.
    """
    corpus = load_corpus(config)
    documents = corpus.kind == "documents"
    tokenizer = build_tokenizer(tokenizer_kind, corpus.symbols, documents=documents)
    return tokenize(corpus, config, tokenizer)


def tokenize(corpus: Corpus, config: DataConfig, tokenizer: Tokenizer) -> TrainingData:
    """The same of a corpus and a tokenizer that are at hand."""
    split = split_corpus(corpus, config, tokenizer)
    return TrainingData(
        corpus=corpus,
        tokenizer=tokenizer,
        split=split,
        train=split.part("train", tokenizer),
        validation=split.part("val", tokenizer),
        notes=(*corpus.notes, *split.notes),
    )
