"""Corpora, their parts as tokens, and the batches that a training run sees."""

from __future__ import annotations

from hornbook.data.batches import IGNORE, Batches, Draw, build_batches
from hornbook.data.corpora import CORPORA, KnownCorpus, load_corpus
from hornbook.data.part import Part, Split, split_corpus
from hornbook.data.text import Corpus, read_corpus

__all__ = [
    "CORPORA",
    "IGNORE",
    "Batches",
    "Corpus",
    "Draw",
    "KnownCorpus",
    "Part",
    "Split",
    "build_batches",
    "load_corpus",
    "read_corpus",
    "split_corpus",
]
