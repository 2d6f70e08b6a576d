"""A corpus ready to be trained on: read, split and turned into tokens once."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from hornbook.config import DataConfig, TokenizerConfig
from hornbook.data.chat_forms import ChatForm, find_form
from hornbook.data.corpora import load_corpus
from hornbook.data.corpus import Corpus
from hornbook.data.part import Part
from hornbook.data.split import Split, split_bounds, split_corpus
from hornbook.data.template import unescaped
from hornbook.data.tokens import SplitCorpus
from hornbook.errors import ConfigError
from hornbook.stages import stage
from hornbook.tokenizers.base import Tokenizer, Unknown
from hornbook.tokenizers.continued import continued_tokenizer
from hornbook.tokenizers.existing import AUTO, KINDS, existing_tokenizer
from hornbook.tokenizers.registry import build_tokenizer

MOST_LEARNED_FROM = 1 << 25  # characters of the training part that bpe learns its merges from
FEWEST_IDS, MOST_IDS = 512, 8192  # of bpe, unless another number is requested


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


def load_training_data(
    config: DataConfig,
    tokenizer: TokenizerConfig,
    choose: Callable[[Corpus, int], str] = lambda corpus, n_bytes: "char",
) -> TrainingData:
    """The data of a new run: the corpus that the settings name, and a tokenizer built for it.

    choose: the kind of tokenizer for `auto`, by the corpus and the bytes of its training part.
    Raises ConfigError or DataError where the text cannot be read, split or encoded.
    """
    with stage("reading the text"):
        corpus = load_corpus(config)
    documents = corpus.kind == "documents"
    split = SplitCorpus(corpus, split_bounds(corpus, config), config.split_seed)
    if tokenizer.kind == AUTO:
        ids = tokenizer.vocab_size
        kind = "bpe" if ids is not None else choose(corpus, split.n_training_bytes)
        tokenizer = tokenizer.model_copy(update={"kind": kind})
    if tokenizer.kind not in KINDS:
        existing = existing_tokenizer(
            tokenizer.kind,
            corpus.alphabet,
            documents=documents,
            document_end=corpus.document_end,
        )
        if tokenizer.vocab_size not in (None, existing.vocab_size):
            raise ConfigError(
                f"tokenizer.vocab_size: found {tokenizer.vocab_size}, expected "
                f"{existing.vocab_size}, the ids of {tokenizer.kind}; leave it out"
            )
        return tokenize(corpus, config, existing)
    with stage("learning tokens" if tokenizer.kind == "bpe" else "turning the text into tokens"):
        built = build_tokenizer(
            tokenizer.kind,
            corpus.alphabet,
            documents=documents,
            document_end=corpus.document_end,
            vocab_size=tokenizer.vocab_size or usual_vocab_size(split.n_training_bytes),
            training=lambda: split.training_text(MOST_LEARNED_FROM),
        )
    return tokenize(corpus, config, built)


def load_continued_data(
    config: DataConfig,
    tokenizer: Tokenizer,
    *,
    grow: bool,
    unknown: Unknown,
    form: ChatForm | None = None,
) -> TrainingData:
    """The data of a run that continues from a trained model, with its tokenizer.

    grow: characters that it does not know get the next ids; else they are an error, or skipped. form:
    in which it knows conversations. Raises ConfigError or DataError as `load_training_data`.
    """
    if form is not None and find_form(unescaped(config.template)) == form:  # by its text
        config = config.model_copy(update={"template": form.name})
    with stage("reading the text"):
        corpus = load_corpus(config, "" if form is None else form.name)
    found = continued_tokenizer(
        tokenizer, corpus.alphabet, documents=corpus.kind == "documents",
        document_end=corpus.document_end, grow=grow, unknown=unknown,
    )  # fmt: skip
    return tokenize(corpus, config, found, unknown)


def tokenize(
    corpus: Corpus, config: DataConfig, tokenizer: Tokenizer, unknown: Unknown = "error"
) -> TrainingData:
    """The data of a run whose corpus is read and whose tokenizer exists. Raises DataError; ConfigError
    where a template needs special tokens that the tokenizer does not have."""
    form = None if (template := corpus.origin.template) is None else template.form
    if form is not None and not {*form.special} <= {*tokenizer.special}:
        raise ConfigError(
            f"template: found {form.name!r}, but the tokenizer has no special tokens "
            f"{' and '.join(form.special)}; begin from a model that has (--from DIR), take its "
            "tokenizer (--tokenizer DIR), or write the template as text"
        )
    with stage("turning the text into tokens"):
        split = split_corpus(corpus, config, tokenizer, unknown)
        train, validation = (split.part(name, tokenizer) for name in ("train", "validation"))
    return TrainingData(
        corpus=corpus,
        tokenizer=tokenizer,
        split=split,
        train=train,
        validation=validation,
        notes=(*corpus.notes, *split.notes),
    )


def usual_vocab_size(n_bytes: int) -> int:
    """Ids of bpe for a training part of so many bytes: the power of two nearest to their root.

    benchmarks/README.md: with more ids there are too few examples of each, and with fewer a context
    covers less text.
    """
    return int(min(MOST_IDS, max(FEWEST_IDS, 2 ** round(math.log2(math.sqrt(max(1, n_bytes)))))))
