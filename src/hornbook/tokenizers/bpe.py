"""Byte-level BPE: one id for each of the most frequent sequences of bytes inside words.

(Gage 1994; Sennrich et al. 2016; over bytes Radford et al. 2019.) The merges are learned by the
`tokenizers` library, and a word is merged by it. The words of a text, and the ids of words that were
seen before, are ours: that is several times as fast, with the same ids.
"""

from __future__ import annotations

import importlib
import json
import re
import threading
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from hornbook.errors import ConfigError, DataError
from hornbook.tokenizers.base import (
    END,
    LINE_BREAK,
    STAND_INS,
    Ids,
    Tokenizer,
    Unknown,
    Written,
    stand_in,
)
from hornbook.tokenizers.byte import characters_with, printable_bytes
from hornbook.tokenizers.words import OWN, Words, safe_cuts

Merge = tuple[str, str]
LEAST = 256  # ids: a byte each
LONGEST = 64  # bytes of a token that is learned
KNOWN_WORDS = 1 << 20  # whose ids are kept
COMPOSED = {"type": "NFC"}  # a normalizer of the Hugging Face format
PIECE = 1 << 20  # characters that are encoded at a time

LETTERS = printable_bytes()
TO_BYTES = {letter: byte for byte, letter in enumerate(LETTERS)}


class BPETokenizer(Tokenizer):
    """Sequences of bytes <-> ids; knows every text there is, if each byte has an id. One that was taken
    over may lack some, and then does not know the characters that have them.

    vocab: the id of each token, written in GPT-2's letters for bytes. merges: pairs in the order in
    which they are merged. words: what a text is cut into before. end_id: None for a stream. special:
    `Tokenizer.special`. whole_words: a word that is a token is that token, whatever its merges (Llama
    3's `ignore_merges`). composed: texts are brought to Unicode's form NFC before (Qwen), so that
    others come back in that form.
    """

    kind = "bpe"

    def __init__(
        self,
        vocab: dict[str, int],
        merges: Sequence[Merge],
        *,
        end_id: int | None,
        end: str = END,
        words: Words = OWN,
        document_end: str = LINE_BREAK,
        whole_words: bool = False,
        special: Sequence[str] = (),
        composed: bool = False,
    ) -> None:
        self.vocab, self.merges, self.words = vocab, tuple(merges), words
        self.whole_words, self.composed = whole_words, composed
        self.special = tuple(special)
        self.end_id, self.end, self.document_end = end_id, end, document_end
        self.vocab_size = len(vocab) + (end_id is not None)
        lacking = (byte for byte, letter in enumerate(LETTERS) if letter not in vocab)
        strange = "".join(characters_with(byte for byte in lacking if byte != ord(document_end)))
        self._strange = re.compile(f"[{strange}]") if strange else None
        self._bytes = [b""] * self.vocab_size
        for token, i in vocab.items():
            self._bytes[i] = bytes(TO_BYTES[letter] for letter in token)
        self._dtype = np.dtype(np.min_scalar_type(self.vocab_size - 1))
        self._model = library().models.BPE(vocab, list(self.merges), ignore_merges=whole_words)
        self._known = _KnownWords(self._encode_word)

    def encode(self, text: str, *, unknown: Unknown = "error") -> Ids:
        """The ids of `text`, (N,). The end of a document as it is written in tokenizer.json is text
        like any other; special tokens are only in `Written` text. Raises DataError as
        `Tokenizer.encode` does, where a byte has no id."""
        return self._known.ids(self._words(text, unknown, {})).astype(self._dtype)

    def encode_lines(self, text: str, *, unknown: Unknown = "error") -> Ids:
        """The ids of `text`, each `document_end` an end of document, (N,); others as `encode`."""
        if self.end_id is None:
            raise DataError("this tokenizer is of a stream: it has no end-of-document id")
        words = self._words(text, unknown, {self.document_end: self.end_id})
        return self._known.ids(words).astype(self._dtype)

    def _words(self, text: str, unknown: Unknown, ids: dict[str, int]) -> list[str | int]:
        """A text as words and ids. ids: of characters that are no text; of what a template wrote also
        the stand-ins."""
        if isinstance(text, Written):
            own = {stand_in(i): self.vocab.get(s) for i, s in enumerate(text.special)}
            text = text.translate({ord(c): "" for c, i in own.items() if i is None})
            ids = ids | {c: i for c, i in own.items() if i is not None}
        text = self._known_text(text, unknown, ids)
        if not ids:
            return list(self.words.cut(text))
        words: list[str | int] = []
        for i, piece in enumerate(re.split(f"([{re.escape(''.join(ids))}])", text)):
            words += [ids[piece]] if i % 2 else self.words.cut(piece)
        return words

    def begin_with(self, start: bytes) -> list[bool]:
        """Which tokens begin with these bytes, for each id; no special one, which no text becomes."""
        return [token.startswith(start) for token in self._bytes_of_text]

    def extends(self, start: bytes) -> bool:
        """Whether a token begins with these bytes and is longer."""
        after = bisect_right(self._sorted_bytes, start)
        return any(token.startswith(start) for token in self._sorted_bytes[after : after + 1])

    @cached_property
    def _bytes_of_text(self) -> list[bytes]:
        """As `_bytes`; nothing for special tokens."""
        special = {*self.special_ids}
        return [b"" if i in special else token for i, token in enumerate(self._bytes)]

    @cached_property
    def _sorted_bytes(self) -> list[bytes]:
        return sorted(self._bytes_of_text)

    def cut(self, pieces: Iterable[str]) -> Iterator[str]:
        """Pieces that end between words (`words.safe_cuts`): together they have the ids of the text."""
        return safe_cuts(pieces, PIECE)

    def _known_text(self, text: str, unknown: Unknown, ids: Collection[str]) -> str:
        """The text without the characters that it does not know, but for those of `ids`. Raises
        DataError for them, unless they are to be skipped."""
        if self.composed and not text.isascii():
            text = unicodedata.normalize("NFC", text)
        if self._strange is None or not (strange := {*self._strange.findall(text)} - {*ids}):
            return text
        if unknown == "error":
            first = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in sorted(strange)[:5])
            raise DataError(
                f"unknown characters: {first}; the tokenizer has no id for some of their bytes. Take "
                "them out, or skip them (--unknown skip)"
            )
        return text.translate(dict.fromkeys(map(ord, strange)))

    def _encode_word(self, word: str | int) -> Iterable[int]:
        if isinstance(word, int):
            return (word,)
        raw = word.encode("utf-8", "surrogatepass")
        return [
            token.id for token in self._model.tokenize("".join([LETTERS[byte] for byte in raw]))
        ]

    def decode_bytes(self, ids: Sequence[int] | Ids) -> bytes:
        """The bytes of `ids`; the end of a document is nothing."""
        table = self._bytes
        return b"".join([table[i] for i in np.asarray(ids, dtype=np.int64).tolist()])

    @property
    def special_ids(self) -> list[int]:
        """The ids of `special`."""
        return [self.vocab[token] for token in self.special]

    def decode_written(self, ids: Sequence[int] | Ids) -> str:
        """The text of `ids` as a template wrote it."""
        found = {*np.asarray(ids, dtype=np.int64).tolist()}
        special = [s for s in self.special if self.vocab[s] in found][: len(STAND_INS)]
        if not special:  # a stand-in is text
            return self.decode(ids)
        table = self._bytes.copy()
        for i, token in enumerate(special):
            table[self.vocab[token]] = stand_in(i).encode()
        text = b"".join([table[i] for i in np.asarray(ids, dtype=np.int64).tolist()])
        return Written(text.decode("utf-8", "replace"), special)

    def decode_lines(self, ids: Ids) -> str:
        """The text of `ids`, each end of a document `document_end`."""
        table = self._bytes.copy()
        if self.end_id is not None:
            table[self.end_id] = self.document_end.encode()
        return b"".join([table[i] for i in ids.tolist()]).decode("utf-8", "ignore")

    def symbol(self, token: int) -> str:
        """The text of a token; where it is no character, `<hex>` of its bytes."""
        if token == self.end_id:
            return "<end>"
        try:
            return self._bytes[token].decode()
        except UnicodeDecodeError:
            return f"<{self._bytes[token].hex()}>"

    def to_json(self) -> dict[str, Any]:
        """A BPE model over bytes."""
        vocab = dict(self.vocab)
        if self.end_id is not None:
            vocab[self.end] = self.end_id
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}
        data = self._huggingface(
            pre_tokenizer=self.words.pre_tokenizer(),
            decoder={**level, "use_regex": False},
            model={
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                **({"ignore_merges": True} if self.whole_words else {}),
                "vocab": vocab,
                "merges": [list(pair) for pair in self.merges],
            },
        )
        return data | {"normalizer": COMPOSED} if self.composed else data


class _KnownWords:
    """Words that were encoded before, with their ids one after the other in one array."""

    def __init__(self, encode: Any) -> None:
        self._encode = encode
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._ids, self._starts = array("I"), array("q", [0])
        known, encode = self, self._encode

        class Numbers(dict[str | int, int]):
            """Words in the order in which they were first seen."""

            def __missing__(self, word: str | int) -> int:
                known._ids.extend(encode(word))
                known._starts.append(len(known._ids))
                self[word] = len(self)
                return len(self) - 1

        self._number_of = Numbers()

    def ids(self, words: Sequence[str | int]) -> Ids:
        """The ids of words, one after the other, (N,) uint32. A number is an id itself."""
        with self._lock:
            if len(self._number_of) > KNOWN_WORDS:
                self._forget()
            numbers = np.fromiter(map(self._number_of.__getitem__, words), np.int64, len(words))
            starts, ids = np.frombuffer(self._starts, np.int64), np.frombuffer(self._ids, np.uint32)
            begin, sizes = starts[numbers], np.diff(starts)[numbers]
            shift = np.repeat(begin - (sizes.cumsum() - sizes), sizes)
            found: Ids = ids[shift + np.arange(len(shift))]
            return found


def train_bpe(
    texts: Iterable[str],
    vocab_size: int,
    *,
    documents: bool,
    end: str = END,
    document_end: str = LINE_BREAK,
) -> BPETokenizer:
    """Learns merges from texts until there are `vocab_size` ids, or nothing occurs twice.

    The same texts give the same tokenizer. Ids: the 256 bytes, the merges in their order, and for
    documents the end. Raises ConfigError where there are not even ids for the bytes.
    """
    least = LEAST + documents
    if vocab_size < least:
        raise ConfigError(
            f"tokenizer.vocab_size: found {vocab_size}, expected {least} or more: an id for each byte"
            + (" and one for the end of a document" if documents else "")
        )
    tokenizers = library()
    learner = tokenizers.Tokenizer(tokenizers.models.BPE())
    own, level = OWN.pattern, tokenizers.pre_tokenizers.ByteLevel
    learner.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(own), "isolated"),
            level(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size - documents,
        min_frequency=2,
        initial_alphabet=list(LETTERS),
        max_token_length=LONGEST,
        show_progress=False,
    )
    whole = (text.encode("utf-8", "replace").decode() for text in texts)  # no half of a pair
    learner.train_from_iterator(whole, trainer)
    merges = [(left, right) for left, right in _merges(learner)]
    vocab = {letter: byte for byte, letter in enumerate(LETTERS)}
    for left, right in merges:
        vocab.setdefault(left + right, len(vocab))
    end_id = len(vocab) if documents else None
    return BPETokenizer(vocab, merges, end_id=end_id, end=end, document_end=document_end)


def _merges(learner: Any) -> list[Merge]:
    """The merges that the library learned, in their order."""
    merges = json.loads(learner.to_str())["model"]["merges"]
    return [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in merges]


def library() -> Any:
    """The `tokenizers` library, loaded when it is first needed."""
    return importlib.import_module("tokenizers")
