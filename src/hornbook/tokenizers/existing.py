"""A tokenizer that exists, taken over for another text: that of a run, or a tokenizer.json.

Ids stay as they are, but that a stream has no end of document and documents have one: where there is
one too many, its id is kept and no text has it; a missing one is the next id after the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hornbook.errors import ConfigError, HornbookError, counted, did_you_mean
from hornbook.files import read_json, user_path
from hornbook.tokenizers.base import END, LINE_BREAK, Tokenizer, end_spelling
from hornbook.tokenizers.bpe import COMPOSED, LETTERS, TO_BYTES, BPETokenizer
from hornbook.tokenizers.byte import ByteTokenizer
from hornbook.tokenizers.char import CharTokenizer
from hornbook.tokenizers.registry import merges_of, words_of

KINDS = ("char", "byte", "bpe")
AUTO = "auto"  # one of them, chosen by the text
ENDS = (
    END,
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|im_end|>",
    "</s>",
    "<eos>",
)  # the first that it has
MOST_MISSING = 64  # bytes that no text had which BPE was trained on; others are not over bytes
CHANGES = {  # what of a BPE model is not done here, and the values that say so
    "dropout": (None, 0.0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "byte_fallback": (None, False),
}


def existing_tokenizer(
    source: str, text: str, *, documents: bool, document_end: str = LINE_BREAK
) -> Tokenizer:
    """The tokenizer of a run, or of a tokenizer.json, for a text of this form.

    text: holds every character that the corpus has. Raises ConfigError where there is none, or it is
    of a kind that hornbook does not have.
    """
    path = user_path(source, ConfigError)
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        meant = did_you_mean(source, (*KINDS, AUTO))
        known = meant if meant.startswith("; did you mean") and not path.exists() else ""
        kinds = ", ".join(map(repr, (*KINDS, AUTO)))
        raise ConfigError(
            f"tokenizer.kind: found {source!r}, expected {kinds}, or a run or "
            f"tokenizer.json that exists{known}"
        )
    try:
        data = read_json(file, foreign=True)
        return taken_over(data, text, documents=documents, document_end=document_end)
    except HornbookError as error:
        raise ConfigError(f"{file}: {error}".replace(f"{file}: {file}", str(file))) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{file}: not a tokenizer.json ({error})") from None


def taken_over(
    data: Mapping[str, Any],
    text: str = "",
    *,
    documents: bool,
    document_end: str = LINE_BREAK,
    end: str | None = None,
) -> Tokenizer:
    """The tokenizer of the Hugging Face format as plain data, for a text of this form.

    end: which of its added tokens ends a document; None for the usual one. Raises ConfigError for a
    kind that hornbook does not have, LookupError, TypeError or ValueError where it is damaged.
    """
    model, kind = data["model"], data["model"]["type"]
    if kind == "WordLevel":
        special = {str(each["content"]) for each in data["added_tokens"]}
        vocab = model["vocab"]
        symbols = sorted((s for s in vocab if s not in special), key=lambda s: int(vocab[s]))
        if wide := [s for s in symbols if len(s) != 1]:
            raise ConfigError(f"found the word {wide[0]!r}, expected single characters (WordLevel)")
        end = end or end_spelling("".join(symbols))
        lacking = sorted(set(text) - {*symbols, *(document_end if documents else "")})
        if lacking:
            first = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in lacking[:5])
            raise ConfigError(
                f"found {counted(len(lacking), 'character')} in the text that this tokenizer has no id "
                f"for, such as {first}; take them out, or let --tokenizer be char, byte or bpe"
            )
        return CharTokenizer(symbols, documents=documents, end=end, document_end=document_end)
    if kind != "BPE":
        raise ConfigError(
            f"found a tokenizer of type {kind!r}, expected char (WordLevel), or BPE over bytes"
        )
    if not model["merges"] and list(model["vocab"])[: len(LETTERS)] == LETTERS:
        return ByteTokenizer(documents=documents, end=end or END, document_end=document_end)
    return _subwords(data, documents=documents, document_end=document_end, wanted=end)


def _subwords(
    data: Mapping[str, Any], *, documents: bool, document_end: str, wanted: str | None
) -> BPETokenizer:
    model = data["model"]
    normalizer = data.get("normalizer")
    if normalizer not in (None, COMPOSED):
        raise ConfigError("found a normalizer, which changes texts; expected none (null), or NFC")
    for name, expected in CHANGES.items():
        if model.get(name) not in expected:
            raise ConfigError(f"model.{name}: found {model[name]!r}, expected {expected[0]}")
    added = {str(each["content"]): int(each["id"]) for each in data["added_tokens"]}
    ends = [end for end in ENDS if end in added] or [
        str(each["content"]) for each in data["added_tokens"] if each.get("special")
    ]
    vocab = {str(token): int(i) for token, i in model["vocab"].items() if token not in added}
    end_id, end = None, END
    if documents:
        end = wanted or (ends[0] if ends else END)
        end_id = added.pop(end, len(vocab) + len(added))
    for content, i in added.items():  # no text has them
        vocab["".join(LETTERS[byte] for byte in content.encode())] = i
    missing = [f"{byte:02x}" for byte, letter in enumerate(LETTERS) if letter not in vocab]
    if len(missing) > MOST_MISSING:
        raise ConfigError(
            f"found no id for {len(missing)} of the 256 bytes, such as {missing[0]}; expected BPE over "
            "bytes"
        )
    if odd := [token for token in vocab if not set(token) <= TO_BYTES.keys()]:
        raise ConfigError(f"found the token {odd[0]!r}, expected letters that stand for bytes")
    ids = sorted([*vocab.values(), *([] if end_id is None else [end_id])])
    if ids != list(range(len(ids))):
        gap = next((i for i, own in enumerate(ids) if i != own), len(ids))
        raise ConfigError(f"found no id {gap}, or one twice; expected ids from 0 on without a gap")
    return BPETokenizer(
        vocab, merges_of(model["merges"]), end_id=end_id, end=end,
        words=words_of(data["pre_tokenizer"]), document_end=document_end,
        whole_words=bool(model.get("ignore_merges")),
        composed=normalizer == COMPOSED,
        special=() if end_id is None else [s for s in added if s in vocab],
    )  # fmt: skip
