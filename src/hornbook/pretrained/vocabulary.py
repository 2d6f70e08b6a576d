"""The tokenizer of a model that others wrote: from a tokenizer.json, or from the fields of a GGUF file.

hornbook has one token that ends a document and begins the next. Others may have two, and more that
stand in no text: of those the one is chosen that they were most likely pretrained with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hornbook.config import ModelConfig
from hornbook.data.chat_forms import form_written_by, known_forms
from hornbook.errors import ConfigError, HornbookError, RunError, counted
from hornbook.models.registry import build_on_meta
from hornbook.pretrained.forms import Weights
from hornbook.tokenizers import Tokenizer
from hornbook.tokenizers.base import END, LINE_BREAK, NULL
from hornbook.tokenizers.bpe import LETTERS, TO_BYTES
from hornbook.tokenizers.existing import MOST_MISSING, taken_over
from hornbook.tokenizers.words import WORDS, Words

USUAL_ENDS = (END, "<|end_of_text|>")  # of a pretrained document, whatever ends a turn since
NORMAL, ADDED = 1, (2, 3, 4, 5)  # llama.cpp's types: unknown, control, user-defined, unused
OF_TOKENS = ("token_embedding.weight", "head.weight", "head.bias")  # have a row for each token
OTHER_WORDS = {"gpt2": "gpt-2", "llama3": "llama-bpe", "llama-v3": "llama-bpe"}
WHOLE_WORDS = "llama-bpe"  # with which llama.cpp takes a word that is a token as that token
SPECIAL = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
DAMAGE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


def tokenizer_of_model(
    data: Mapping[str, Any], begin: int | None, end: int | None
) -> tuple[Tokenizer, tuple[str, ...]]:
    """The tokenizer of a tokenizer.json, and what there is to say about it.

    begin, end: the ids that begin and end a text by the model's settings. Raises RunError for a
    tokenizer that hornbook does not have, or one that would change ids.
    """
    try:
        added = {int(each["id"]): str(each["content"]) for each in data["added_tokens"]}
        named = added | {int(i): str(token) for token, i in data["model"]["vocab"].items()}
        chosen = _end(added, named, begin, end)
        given = dict(data)
        if chosen is not None and chosen not in added:
            entry = {"id": chosen, "content": named[chosen], **SPECIAL, "special": True}
            given["added_tokens"] = [*data["added_tokens"], entry]
        documents, spelled = chosen is not None, None if chosen is None else named[chosen]
        tokenizer = taken_over(given, documents=documents, end=spelled)
        if documents and LINE_BREAK in getattr(tokenizer, "characters", LINE_BREAK):
            tokenizer = taken_over(given, documents=True, document_end=NULL, end=spelled)
        _check_ids(tokenizer, named, chosen)
    except HornbookError as error:
        raise RunError(f"tokenizer: {error}") from None
    except DAMAGE as error:
        raise RunError(f"tokenizer: damaged ({error})") from None
    others = {named[i] for i in (begin, end) if i is not None and i in named} - {spelled}
    if spelled is None or not others:
        return tokenizer, ()
    known = " and ".join(map(repr, sorted(others)))
    return tokenizer, (f"{spelled!r} begins and ends a text here; {known} do so elsewhere",)


def _end(
    added: Mapping[int, str], named: Mapping[int, str], begin: int | None, end: int | None
) -> int | None:
    """The id that begins and ends a document; None of a stream."""
    if begin is not None and begin == end and begin in named:
        return begin
    usual = next((i for end in USUAL_ENDS for i, content in added.items() if content == end), None)
    return next((i for i in (usual, end) if i is not None and i in named), None)


def _check_ids(tokenizer: Tokenizer, named: Mapping[int, str], end: int | None) -> None:
    """Raises RunError where a token would have another id than in the model."""
    if tokenizer.end_id != end:
        raise RunError(f"found the end of a text at id {end}, expected {tokenizer.end_id}")
    for token, i in tokenizer.to_json()["model"]["vocab"].items():
        same = named.get(int(i))
        if same != token and "".join(LETTERS[byte] for byte in (same or "").encode()) != token:
            raise RunError(f"found {same!r} at id {i}, expected {token!r}")


def template_of(tokenizer: Tokenizer, chat_template: object) -> tuple[str, tuple[str, ...]]:
    """The template of a message, where a model's own, a program of Jinja, writes a known form; else
    nothing, and a note that says so. The program is not run."""
    program = str(chat_template or "")
    if "role" not in program:  # a text as it is, such as hornbook writes into its GGUF files
        return "", ()
    if form := form_written_by(program, tokenizer.special):
        return form.message, ()
    if form := form_written_by(program, [*tokenizer.special, tokenizer.end]):
        return "", (
            f"its chat template writes the form {form.name}, but {tokenizer.end!r} ends a document "
            "here, not a message: hornbook continues texts with it and does not chat",
        )
    return "", (
        f"its chat template writes none of the forms that hornbook knows ({known_forms()}), and is not "
        "run: hornbook continues texts with it and does not chat",
    )


def fitted_to_tokenizer(weights: Weights, n_ids: int) -> tuple[Weights, tuple[str, ...]]:
    """The weights with a row for each id, and a note where there were more.

    Raises RunError where there are fewer.
    """
    rows = {name: len(weights[name]) for name in OF_TOKENS if name in weights}
    least, most = min(rows.values(), default=n_ids), max(rows.values(), default=n_ids)
    if least < n_ids:
        raise RunError(
            f"found embeddings of {least} tokens, expected {n_ids}, as the tokenizer has"
        )
    if most == n_ids:
        return weights, ()
    cut = {name: w[:n_ids].clone() if name in rows else w for name, w in weights.items()}
    note = f"{counted(most - n_ids, 'row')} of the embedding that no token has are left out"
    return cut, (note,)


def gguf_tokenizer(fields: Mapping[str, Any]) -> tuple[dict[str, Any], int | None, int | None]:
    """The vocabulary of a GGUF file as the plain data of a tokenizer.json, and the ids that begin and
    end a text. Raises RunError for a tokenizer that hornbook does not have."""
    model = fields.get("tokenizer.ggml.model")
    if model != "gpt2":
        what = {"llama": " (SentencePiece)", "bert": " (WordPiece)"}.get(str(model), "")
        raise RunError(
            f"tokenizer.ggml.model: found {model!r}{what}, expected 'gpt2' (BPE over bytes)"
        )
    words = _words(fields.get("tokenizer.ggml.pre"))
    tokens = [str(token) for token in fields.get("tokenizer.ggml.tokens", ())]
    types = list(fields.get("tokenizer.ggml.token_type", ())) or [NORMAL] * len(tokens)
    if len(types) != len(tokens):
        raise RunError(f"tokenizer.ggml.token_type: found {len(types)}, expected {len(tokens)}")
    suppressed = set(fields.get("tokenizer.ggml.suppress_tokens", ()))
    begin, end = (fields.get(f"tokenizer.ggml.{which}_token_id") for which in ("bos", "eos"))
    if end in suppressed and end == len(tokens) - 1:  # hornbook's, of a stream
        tokens, types, begin, end = tokens[:-1], types[:-1], None, None
    added = [
        {"id": i, "content": token, **SPECIAL, "special": kind != 4}
        for i, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in ADDED
    ]
    vocab = {token: i for i, token in enumerate(tokens)}
    merges = [merge.split(" ") for merge in map(str, fields.get("tokenizer.ggml.merges", ()))]
    known = {"added_tokens": added, "normalizer": None, "pre_tokenizer": words.pre_tokenizer()}
    contents = {str(each["content"]) for each in added}
    plain = {token: i for token, i in vocab.items() if token not in contents}
    bpe = {
        "type": "BPE",
        "vocab": vocab,
        "merges": merges,
        "ignore_merges": words.name == WHOLE_WORDS,
    }
    if list(plain)[: len(LETTERS)] == LETTERS and len(plain) == len(LETTERS):
        bpe |= {"merges": []}  # bytes; llama.cpp wants a merge
    elif len(set(LETTERS) - plain.keys()) > MOST_MISSING:
        characters = _characters(plain)
        ends = {token: i for token, i in vocab.items() if token in contents}
        return {**known, "model": {"type": "WordLevel", "vocab": characters | ends}}, begin, end
    return {**known, "model": bpe}, begin, end


def _words(name: object) -> Words:
    """The way to cut texts that llama.cpp calls so. Raises RunError where it is not known."""
    found = next((words for words in WORDS if words.name == OTHER_WORDS.get(str(name), name)), None)
    if found is None:
        known = ", ".join(repr(words.name) for words in WORDS)
        raise RunError(f"tokenizer.ggml.pre: found {name!r}, expected one of {known}")
    return found


def _characters(vocab: Mapping[str, int]) -> dict[str, int]:
    """Tokens in letters for bytes -> the characters that they are. Raises RunError for others."""
    found: dict[str, int] = {}
    for token, i in vocab.items():
        raw = bytes(TO_BYTES.get(letter, 0) for letter in token)
        text = raw.decode("utf-8", "surrogatepass") if raw else ""
        if len(text) != 1:
            raise RunError(f"tokenizer: found the token {token!r}, and no token for each byte")
        found[text] = i
    return found


def check_fits(config: ModelConfig, tokenizer: Tokenizer, weights: Weights) -> None:
    """Raises RunError where names, shapes or dtypes do not fit the model, or weights are not finite."""
    try:
        build_on_meta(config, tokenizer.vocab_size, tokenizer.end_id).check_weights(weights)
    except ConfigError as error:
        raise RunError(str(error)) from None
    for name, weight in weights.items():
        if not weight.isfinite().all():
            raise RunError(f"{name}: found weights that are infinite or not a number")
