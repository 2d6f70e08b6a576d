from __future__ import annotations

import json
import random

import pytest

from hornbook.generate.decoder import split_prompt
from hornbook.tokenizers import BPETokenizer, build_tokenizer
from hornbook.tokenizers.bpe import LETTERS, train_bpe
from hornbook.tokenizers.words import WORDS, Words
from tests.web.javascript import run_node

TEXTS = (
    "emma", "", "Zoë 日本語 👩‍👩‍👧 é", "a\tb\r\nc", "</script><b>&amp;",
    "שלום עולם", "\ufeffx\u202e", "e\u0301",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["char", "byte"])
@pytest.mark.parametrize("documents", [True, False])
def test_ids_and_texts_are_those_of_hornbook(kind: str, documents: bool) -> None:
    tokenizer = build_tokenizer(kind, "".join(TEXTS[:-2]), documents=documents)
    code = f"""const tokenizer = $tokenizer.buildTokenizer({json.dumps(tokenizer.to_json())});
        return {json.dumps(TEXTS)}.map((text) => {{
          const {{ ids }} = tokenizer.encode(text);
          return [ids, tokenizer.promptIds(ids), tokenizer.decode(ids)];
        }});"""
    from hornbook.generate.decoder import prompt_ids

    for text, (ids, prompt, decoded) in zip(TEXTS, run_node("tokenizer.js", code), strict=True):
        expected = tokenizer.encode(text, unknown="skip")
        assert ids == expected.tolist()
        assert prompt == prompt_ids(tokenizer, text, "skip")
        assert decoded == tokenizer.decode(expected)


def test_characters_that_are_left_out_are_named() -> None:
    tokenizer = build_tokenizer("char", "abc", documents=True)
    code = (
        f"""return $tokenizer.buildTokenizer({json.dumps(tokenizer.to_json())}).encode("aXbéX");"""
    )
    assert run_node("tokenizer.js", code) == {"ids": [1, 2], "unknown": ["X", "é"]}


def test_bytes_become_text_when_a_character_is_complete() -> None:
    tokenizer = build_tokenizer("byte", "", documents=False)
    code = f"""const pieces = $tokenizer.buildTokenizer({json.dumps(tokenizer.to_json())}).pieces();
        const bytes = [0x61, 0xf0, 0x9f, 0x98, 0x80, 0xc3];
        return [...bytes.map((byte) => pieces.push(byte)), pieces.finish()];"""
    assert run_node("tokenizer.js", code) == ["a", "", "", "", "😀", "", "\ufffd"]


ALPHABET = [
    *"abtTsSdlLeE'09. \t\n\r!_-", "\u00a0", "\u3000", "\u0085", "\u2028", "\ufeff", "\x1c", "\x00",
    "ſ", "\u212a", "é", "ß", "Ж", "東", "京", "½", "٣", "Ⅷ", "👩", "\u200d", "🔬", "e\u0301",
    "'ll", " the", "'S", "<|endoftext|>",
]  # fmt: skip


def random_texts(n: int) -> list[str]:
    """Texts of letters, numbers, blanks and signs of all kinds."""
    rng = random.Random(1)
    return ["".join(rng.choices(ALPHABET, k=rng.randrange(1, 40))) for _ in range(n)]


def with_special_tokens(learned: BPETokenizer, words: Words) -> BPETokenizer:
    """The same tokens cut otherwise; of documents one is special."""
    special = () if learned.end_id is None else ("<|user|>",)
    vocab = {token: i for i, token in enumerate([*learned.vocab, *special])}
    end_id = None if learned.end_id is None else len(vocab)
    return BPETokenizer(vocab, learned.merges, end_id=end_id, words=words, special=special)


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words.name)
@pytest.mark.parametrize("documents", [True, False])
def test_subwords_are_those_of_hornbook(words: Words, documents: bool) -> None:
    learned = train_bpe(random_texts(400), 600, documents=documents)
    tokenizer = with_special_tokens(learned, words)
    texts = [*random_texts(500), "a<", "a<|us", "<|user|>", "<|user|>us"]
    code = f"""const tokenizer = $tokenizer.buildTokenizer({json.dumps(tokenizer.to_json())});
        return [tokenizer.vocabSize, {json.dumps(texts)}.map((text) => {{
          const {{ ids }} = tokenizer.encode(text);
          const {{ read, held }} = tokenizer.split(ids);
          return [ids, tokenizer.decode(ids), read, held];
        }}), Array.from({{ length: 600 }}, (_, id) => tokenizer.symbol(id) ?? "<end>")];"""
    size, found, symbols = run_node("tokenizer.js", code)
    assert size == tokenizer.vocab_size
    for text, (ids, decoded, read, held) in zip(texts, found, strict=True):
        assert ids == tokenizer.encode(text).tolist()
        assert decoded == text
        expected, begun = split_prompt(tokenizer, text)
        assert (read, bytes(held)) == (expected, begun)
    own = [tokenizer.symbol(i) for i in range(tokenizer.vocab_size) if i != tokenizer.end_id]
    assert symbols[: len(own)] == own


def test_words_that_are_tokens_and_bytes_without_ids() -> None:
    learned = train_bpe(random_texts(400), 400, documents=False)
    vocab = {t: i for i, t in enumerate(t for t in learned.vocab if t != LETTERS[4])}
    vocab["xqz"] = len(vocab)
    own = BPETokenizer(vocab, learned.merges, end_id=None, whole_words=True, composed=True)
    code = f"""const tokenizer = $tokenizer.buildTokenizer({json.dumps(own.to_json())});
        return tokenizer.encode("xqz a\\x04 xqz e\\u0301");"""
    expected = own.encode("xqz a\x04 xqz é", unknown="skip").tolist()
    assert run_node("tokenizer.js", code) == {"ids": expected, "unknown": ["\x04"]}
