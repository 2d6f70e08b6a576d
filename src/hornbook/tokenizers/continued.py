"""The tokenizer of a trained model, for a text that the model is to be trained on further.

Ids stay as they are: the weights belong to them. What the text has besides gets the next ids, if the
vocabulary may grow.
"""

from __future__ import annotations

from hornbook.errors import ConfigError, counted
from hornbook.tokenizers.base import Tokenizer, Unknown, end_spelling
from hornbook.tokenizers.char import CharTokenizer
from hornbook.tokenizers.existing import taken_over

SHOWN = 5  # characters that a message names


def continued_tokenizer(
    base: Tokenizer,
    text: str,
    *,
    documents: bool,
    document_end: str,
    grow: bool = False,
    unknown: Unknown = "error",
) -> Tokenizer:
    """The tokenizer of a model for another text of documents, or a stream.

    text: holds every character that the corpus has. Raises ConfigError where the model lacks a
    character, or the end of a document, and is not to grow.
    """
    if isinstance(base, CharTokenizer):
        return _characters(base, text, documents, document_end, grow, unknown)
    found = taken_over(base.to_json(), text, documents=documents, document_end=document_end)
    if found.vocab_size < base.vocab_size:
        raise ConfigError(_other_kind(documents))
    if found.vocab_size > base.vocab_size and not grow:
        raise ConfigError(f"{_other_kind(documents)}, or add the end of a document (--grow)")
    return found


def _other_kind(documents: bool) -> str:
    found, other = ("documents", "stream") if documents else ("stream", "documents")
    return (
        f"kind: found {found}, but the base was trained on text of the other kind; read the text so: "
        f"--kind {other}"
    )


def _characters(
    base: CharTokenizer,
    text: str,
    documents: bool,
    document_end: str,
    grow: bool,
    unknown: Unknown,
) -> Tokenizer:
    if documents != (base.end_id is not None):
        raise ConfigError(_other_kind(documents))
    known = {*base.characters, *(document_end if documents else "")}
    lacking = sorted(set(text) - known)
    if lacking and not grow and unknown == "error":
        first = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in lacking[:SHOWN])
        more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
        raise ConfigError(
            f"tokenizer: found {counted(len(lacking), 'character')} in the text that the base does not "
            f"know: {first}{more}; add them to the model (--grow), or leave them out (--unknown skip)"
        )
    characters = [*base.characters, *(lacking if grow else [])]
    end = end_spelling("".join(characters)) if base.end in characters else base.end
    return CharTokenizer(characters, documents=documents, end=end, document_end=document_end)
