"""The tokenizers by name: built for a corpus, or loaded from `tokenizer.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from hornbook.errors import ConfigError, RunError
from hornbook.files import read_json
from hornbook.tokenizers.base import END, LINE_BREAK, Tokenizer, end_spelling
from hornbook.tokenizers.bpe import COMPOSED, BPETokenizer, train_bpe
from hornbook.tokenizers.byte import ByteTokenizer
from hornbook.tokenizers.char import CharTokenizer
from hornbook.tokenizers.words import WORDS, Words


def build_tokenizer(
    kind: str,
    text: str,
    *,
    documents: bool,
    document_end: str = LINE_BREAK,
    vocab_size: int | None = None,
    training: Callable[[], Iterable[str]] | None = None,
) -> Tokenizer:
    """The tokenizer of a corpus: char, byte or bpe.

    text: holds every character that the corpus has. vocab_size, training: of bpe, the number of ids and
    the training part alone, in pieces.
    """
    end = end_spelling(text)
    if kind == "byte":
        return ByteTokenizer(documents=documents, end=end, document_end=document_end)
    if kind == "bpe":
        assert vocab_size is not None
        assert training is not None
        return train_bpe(
            training(), vocab_size, documents=documents, end=end, document_end=document_end
        )
    return CharTokenizer.from_text(text, documents=documents, document_end=document_end)


def load_tokenizer(path: Path, document_end: str = LINE_BREAK) -> Tokenizer:
    """The tokenizer saved in a `tokenizer.json` of hornbook's. Raises RunError otherwise."""
    try:
        return tokenizer_of(read_json(path), document_end)
    except ConfigError:
        raise
    except RunError as error:
        raise RunError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{path}: not a tokenizer that hornbook wrote ({error})") from None


def tokenizer_of(data: Mapping[str, Any], document_end: str = LINE_BREAK) -> Tokenizer:
    """The tokenizer of the Hugging Face format as plain data.

    Raises ValueError, LookupError or TypeError where it is damaged, RunError where it is of a kind that
    hornbook does not have.
    """
    model, added = data["model"], data["added_tokens"]
    vocab, kind = model["vocab"], model["type"]
    documents = bool(added)
    end = str(added[0]["content"]) if documents else END
    ids = sorted(vocab.values())
    if ids != list(range(len(ids))):
        raise ValueError("ids are not 0 .. n-1")
    if kind == "WordLevel":
        symbols = sorted((s for s in vocab if s != end), key=lambda s: int(vocab[s]))
        return CharTokenizer(symbols, documents=documents, end=end, document_end=document_end)
    if kind == "BPE" and not model["merges"]:
        return ByteTokenizer(documents=documents, end=end, document_end=document_end)
    if kind == "BPE":
        end_id = vocab.pop(end) if documents else None
        return BPETokenizer(
            vocab, merges_of(model["merges"]), end_id=end_id, end=end,
            words=words_of(data["pre_tokenizer"]), document_end=document_end,
            whole_words=bool(model.get("ignore_merges")),
            special=[str(each["content"]) for each in added[1:]],
            composed=data.get("normalizer") == COMPOSED,
        )  # fmt: skip
    raise RunError(
        f"a tokenizer of type {kind!r}; expected char (WordLevel), byte (BPE without merges) or "
        "bpe over bytes"
    )


def merges_of(merges: Iterable[Any]) -> list[tuple[str, str]]:
    """Merges as pairs, which older files write as one text."""
    pairs = []
    for merge in merges:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        pairs.append((str(left), str(right)))
    return pairs


def words_of(step: Mapping[str, Any]) -> Words:
    """The way to cut texts that a pre-tokenizer describes. Raises RunError where it is not known."""
    wanted = _split_of(step)
    for words in WORDS:
        if _split_of(words.pre_tokenizer()) == wanted:
            return words
    names = ", ".join(words.name for words in WORDS)
    raise RunError(f"it cuts texts into words in a way that is not known; expected that of {names}")


def _split_of(step: Mapping[str, Any]) -> list[Any]:
    """What of a pre-tokenizer decides the words: its steps with what they cut at."""
    if step["type"] == "Sequence":
        return [one for inner in step["pretokenizers"] for one in _split_of(inner)]
    if step["type"] == "Split":
        return [("Split", step["pattern"]["Regex"], step["behavior"], bool(step["invert"]))]
    if step["type"] == "ByteLevel":
        return [("ByteLevel", bool(step["add_prefix_space"]), bool(step.get("use_regex", True)))]
    return [(step["type"], step.get("individual_digits"))]
