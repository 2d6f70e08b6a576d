"""The tokenizers by name: built for a corpus, or loaded from `tokenizer.json`."""

from __future__ import annotations

from pathlib import Path

from hornbook.errors import RunError
from hornbook.files import read_json
from hornbook.tokenizers.base import END, LINE_BREAK, Tokenizer, end_spelling
from hornbook.tokenizers.byte import ByteTokenizer
from hornbook.tokenizers.char import CharTokenizer


def build_tokenizer(
    kind: str, text: str, *, documents: bool, document_end: str = LINE_BREAK
) -> Tokenizer:
    """The tokenizer of a corpus, char or byte. `text` holds every character that the corpus has."""
    if kind == "byte":
        end = end_spelling(text)
        return ByteTokenizer(documents=documents, end=end, document_end=document_end)
    return CharTokenizer.from_text(text, documents=documents, document_end=document_end)


def load_tokenizer(path: Path, document_end: str = LINE_BREAK) -> Tokenizer:
    """The tokenizer saved in a `tokenizer.json` of hornbook's. Raises RunError otherwise."""
    try:
        data = read_json(path)
        vocab = data["model"]["vocab"]
        model_type = data["model"]["type"]
        added = data["added_tokens"]
        documents = bool(added)
        end = str(added[0]["content"]) if documents else END
        ids = sorted(vocab.values())
        if ids != list(range(len(ids))):
            raise ValueError("ids are not 0 .. n-1")
        if model_type == "WordLevel":
            return CharTokenizer(
                sorted((s for s in vocab if s != end), key=lambda s: int(vocab[s])),
                documents=documents,
                end=end,
                document_end=document_end,
            )
        if model_type == "BPE" and not data["model"]["merges"]:
            return ByteTokenizer(documents=documents, end=end, document_end=document_end)
    except RunError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{path}: not a tokenizer that hornbook wrote ({error})") from None
    raise RunError(
        f"{path}: a tokenizer of type {model_type!r}; expected a char (WordLevel) or byte (BPE "
        "without merges) tokenizer"
    )
