from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch

from hornbook.data.template import Template
from hornbook.errors import RunError
from hornbook.pretrained.vocabulary import (
    fitted_to_tokenizer,
    gguf_tokenizer,
    template_of,
    tokenizer_of_model,
)
from hornbook.tokenizers import build_tokenizer
from hornbook.tokenizers.base import LINE_BREAK, NULL, stand_in
from hornbook.tokenizers.bpe import LETTERS, train_bpe
from tests.pretrained.common import END, TEXT, save_tokenizer


def saved(folder: Path, **changes: Any) -> dict[str, Any]:
    save_tokenizer(folder, **changes)
    data: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    return data


def test_which_token_begins_and_ends_a_text(tmp_path: Path) -> None:
    data = saved(tmp_path)
    for begin, end, expected in (
        (289, 289, 289),
        (None, None, 289),  # the usual one is there
        (288, 287, 289),
        (288, 288, 288),
    ):
        assert tokenizer_of_model(data, begin, end)[0].end_id == expected
    _, notes = tokenizer_of_model(data, 288, 287)
    assert "'<unused-287>' and '<unused-288>' do so elsewhere" in notes[0]
    data["added_tokens"][-1]["content"] = "<|end_of_text|>"  # as Llama 3 has it
    assert tokenizer_of_model(data, 288, 287)[0].end_id == 289
    data["added_tokens"] = data["added_tokens"][:-1]
    assert tokenizer_of_model(data, 288, 287)[0].end_id == 287
    assert tokenizer_of_model(data, 70, 70)[0].end_id == 70  # an ordinary token
    assert tokenizer_of_model(data, None, None)[0].end_id is None


def test_documents_hold_line_breaks_where_the_tokenizer_knows_them() -> None:
    for text, end in (("ab", LINE_BREAK), ("a\tb\nc", NULL)):
        own = build_tokenizer("char", text, documents=True, document_end=NULL)
        found, _ = tokenizer_of_model(own.to_json(), own.end_id, own.end_id)
        assert found.document_end == end
        assert found.to_json() == own.to_json()


def test_ids_that_would_change_are_refused() -> None:
    data = build_tokenizer("char", "abc", documents=True).to_json()
    data["model"]["vocab"] |= {"a": 2, "b": 1, END: 3, "c": 0}
    data["added_tokens"][0]["id"] = 3
    with pytest.raises(RunError, match="found the end of a text at id 3, expected 0"):
        tokenizer_of_model(data, 3, 3)
    data = build_tokenizer("byte", "", documents=False).to_json()
    data["model"]["vocab"] |= {LETTERS[0]: 1, LETTERS[1]: 0}
    with pytest.raises(RunError, match="at id 0, expected"):
        tokenizer_of_model(data, None, None)


@pytest.mark.parametrize("data", [{}, {"model": 3, "added_tokens": []}, {"added_tokens": [1]}])
def test_damaged_data(data: dict[str, Any]) -> None:
    with pytest.raises(RunError, match="tokenizer: damaged"):
        tokenizer_of_model(data, None, None)


def test_what_a_tokenizer_does_not_do_here_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="tokenizer: found a normalizer"):
        tokenizer_of_model(saved(tmp_path, normalizer={"type": "Lowercase"}), None, None)


def test_rows_for_each_token() -> None:
    weights = {"token_embedding.weight": torch.ones(5, 2), "norm.weight": torch.ones(2)}
    assert fitted_to_tokenizer(weights, 5) == (weights, ())
    cut, (note,) = fitted_to_tokenizer(weights, 4)
    assert cut["token_embedding.weight"].shape == (4, 2)
    assert note.startswith("1 row of the embedding")
    with pytest.raises(RunError, match="embeddings of 5 tokens, expected 6"):
        fitted_to_tokenizer(weights, 6)


def fields(words: str = "llama-bpe") -> dict[str, Any]:
    """The vocabulary of a GGUF file."""
    own = train_bpe([TEXT], 280, documents=False)
    tokens = [END, *sorted(own.vocab, key=lambda token: own.vocab[token])]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": words,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] + [1] * (len(tokens) - 1),
        "tokenizer.ggml.merges": [" ".join(pair) for pair in own.merges],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 0,
    }


@pytest.mark.parametrize("words", ["llama-bpe", "llama3", "qwen2", "gpt-2", "smollm"])
def test_subwords_of_a_gguf_file_are_those_of_the_library(words: str) -> None:
    data, begin, end = gguf_tokenizer(fields(words))
    own, _ = tokenizer_of_model(data, begin, end)
    library = tokenizers.Tokenizer.from_str(json.dumps(data))
    library.encode_special_tokens = True
    text = f"{TEXT} {END} the ñandú 123'll"
    assert own.encode(text).tolist() == library.encode(text).ids
    assert own.end_id == 0
    assert bool(data["model"]["ignore_merges"]) == (words in ("llama-bpe", "llama3"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "llama"}, r"found 'llama' \(SentencePiece\), expected 'gpt2'"),
        ({"pre": "tekken"}, "pre: found 'tekken', expected one of 'qwen2'"),
        ({"pre": None}, "pre: found None"),
        ({"token_type": [1, 2]}, "token_type: found 2, expected 2[0-9]+"),
        ({"tokens": ["ab", "c"], "token_type": []}, "found the token 'ab', and no token for each"),
    ],
)
def test_other_vocabularies_of_gguf_files_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RunError, match=message):
        gguf_tokenizer(fields() | {f"tokenizer.ggml.{key}": v for key, v in changes.items()})


def test_conversations_in_chatml(tmp_path: Path) -> None:
    data = saved(tmp_path)
    for each in data["added_tokens"]:
        each["content"] = {287: "<|im_start|>", 288: "<|im_end|>"}.get(each["id"], each["content"])
    tokenizer, _ = tokenizer_of_model(data, 289, 289)
    program = "{% for m in messages %}<|im_start|>{{ m.role }}<|im_end|>"
    text, notes = template_of(tokenizer, program)
    assert notes == ()
    template = Template.of("messages", "ChatML")
    assert template.text == text
    said = f"the <|im_end|>{stand_in(0)}{stand_in(1)}"
    prompt = template.reply_to([("user", said), ("assistant", "other")], said)
    ids = tokenizer.encode(prompt).tolist()
    assert [ids.count(i) for i in (287, 288, 289)] == [3, 2, 0]  # none by what was said
    assert tokenizer.decode(ids).count("<|im_end|>") == 4
    prompt = template.reply_to([(f"user{stand_in(1)}", "the"), ("assistant", "other")])
    assert tokenizer.encode(prompt).tolist().count(288) == 2  # nor by a role
    assert template.stops == ("<|im_end|>",)
    plain = "{% for m in messages %}{{ m.content }}{% endfor %}"
    assert template_of(tokenizer, None) == template_of(tokenizer, plain) == ("", ())
    others = tokenizer_of_model(saved(tmp_path), 289, 289)[0]
    for found in (template_of(tokenizer, "[INST] {{ m.role }}"), template_of(others, program)):
        assert found[0] == ""
        assert (
            "none of the forms that hornbook knows (ChatML, Llama 3), and is not run" in found[1][0]
        )


def test_a_form_whose_messages_end_as_documents_do_is_not_used(tmp_path: Path) -> None:
    data = saved(tmp_path)
    data["added_tokens"] = data["added_tokens"][:-1]
    for each in data["added_tokens"]:
        each["content"] = {287: "<|im_start|>", 288: "<|im_end|>"}.get(each["id"], each["content"])
    tokenizer, _ = tokenizer_of_model(data, None, 288)
    program = "{% for m in messages %}<|im_start|>{{ m.role }}<|im_end|>"
    form, (note,) = template_of(tokenizer, program)
    assert form == ""
    assert "the form ChatML, but '<|im_end|>' ends a document here, not" in note
