from __future__ import annotations

import json

import pytest

from hornbook.tokenizers import build_tokenizer
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
