"""Prompts and answers as text: what is written, which tokens are an answer's, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hornbook.data.template import (
    ANSWER,
    ANSWER_END,
    MESSAGES,
    PAIRED,
    Template,
    encode_answers,
    fields_of_answers,
    is_conversation,
    prompt_of,
    read_messages,
    without_marks,
)
from hornbook.errors import ConfigError, DataError
from hornbook.tokenizers import build_tokenizer
from hornbook.tokenizers.base import NULL

CHAT = Template.of(MESSAGES)
TALK = [("user", "Hi"), ("assistant", "Yo"), ("user", "Bye"), ("assistant", "See\nyou")]


def test_a_pair_is_prompt_and_completion() -> None:
    plain = Template.of(PAIRED)
    assert plain.pair("1+1=", "2") == f"1+1={ANSWER}2"
    assert (plain.prompt("1+1="), plain.stops, plain.chat) == ("1+1=", (), False)
    worded = Template.of("question+reply", r"Q: {prompt}\nA: {completion}\n##")
    assert worded.document({"question": "a\r\nb", "reply": 3}, "t") == f"Q: a\nb\nA: {ANSWER}3\n##"
    assert worded.prompt("a") == "Q: a\nA: "
    assert worded.stops == ("\n##",)
    assert worded.answer_of("3\n##") == "3"
    assert worded.document({"question": "a"}, "t") is None
    assert worded.document({"question": "a", "reply": None}, "t") is None


def test_a_conversation_is_its_messages_and_the_assistants_are_answers() -> None:
    text = CHAT.conversation(TALK)
    assert without_marks(text) == (
        "user: Hi\nassistant: Yo\nuser: Bye\nassistant: See\nyou\n"
    )  # fmt: skip
    assert text == (
        f"user: Hi\nassistant: {ANSWER}Yo\nuser: {ANSWER_END}Bye\nassistant: {ANSWER}See\nyou\n"
    )
    assert (
        CHAT.reply_to(TALK[:1]) == CHAT.prompt("Hi") == "user: Hi\nassistant: " == prompt_of(text)
    )
    assert CHAT.stops == ("\nuser: ",)
    record = {"messages": [{"role": r, "content": c} for r, c in TALK]}
    assert CHAT.document(record, "t") == text
    assert CHAT.document({"messages": record["messages"][:1]}, "t") is None  # nothing to learn
    assert CHAT.document({"messages": 3}, "t") is None


def test_what_is_no_text_in_messages_is_left_out() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": None}]
    assert list(read_messages(messages, "t")) == [("user", "a\nb")]
    with pytest.raises(DataError, match=r"t: found 'hi', expected a message with role"):
        list(read_messages(["hi"], "t"))


@pytest.mark.parametrize(
    ("field", "template"),
    [(PAIRED, "{prompt}"), (PAIRED, "{completion}{prompt}"), (MESSAGES, "{role}{content}{role}"),
     (MESSAGES, "{prompt}{completion}")],
)  # fmt: skip
def test_a_template_has_both_fields_in_order(field: str, template: str) -> None:
    with pytest.raises(ConfigError, match=r"template: found .*, expected \{\w+\} and then \{\w+\}"):
        Template.of(field, template)


def test_marks_in_a_text_are_refused() -> None:
    with pytest.raises(DataError, match=r"t: found the control character U\+0002"):
        Template.of(PAIRED).document({"prompt": "a\x02", "completion": "b"}, "t")


def test_pairs_and_conversations_are_recognized() -> None:
    found = fields_of_answers
    assert found([{"prompt": "a", "completion": "b", "id": 1}]) == PAIRED
    assert found([{"messages": [{"role": "user"}]}]) == found([{}, {"messages": [{"role": "x"}]}])
    assert found([{"messages": [{"role": "user"}]}]) == MESSAGES
    assert found([{"messages": "hello"}]) == found([{"messages": []}]) == found([]) == ""
    assert found([{"conversations": [{"from": "human", "value": "a"}]}]) == "conversations"
    assert found([{"instruction": "a", "output": "b"}]) == "instruction+output"
    later = [{"instruction": "a", "output": "b"}, {"instruction": "a", "input": "", "output": "b"}]
    assert found(later) == "instruction+input+output"  # of all records
    assert found([{"Question": "a", "Answer": "7"}]) == "Question+Answer"
    assert found([{"prompt": "a", "completion": "b"}], "prompt") == ""  # as requested
    assert found([{"prompt": "a"}], "prompt+x") == "prompt+x"
    assert found([{"a": {"talk": [{"role": "user"}]}}], "a.talk") == "a.talk"
    assert is_conversation([{"role": "user"}])
    assert not is_conversation([])
    assert not is_conversation([{"text": "a"}])


def test_messages_of_sharegpt_are_read() -> None:
    talk = [("system", "Be kind."), ("human", "Hi"), ("gpt", "Yo")]
    record = {"conversations": [{"from": r, "value": v} for r, v in talk]}
    text = Template.of("conversations").document(record, "t")
    assert text == f"system: Be kind.\nuser: Hi\nassistant: {ANSWER}Yo\n"
    nested = Template.of("a.talk").document({"a": {"talk": record["conversations"]}}, "t")
    assert nested == text


def test_a_prompt_of_several_fields_has_a_line_for_each() -> None:
    template = Template.of("instruction+input+output")
    record = {"instruction": "Add.", "input": "1 2", "output": 3}
    assert template.document(record, "t") == f"Add.\n1 2\n{ANSWER}3"
    assert template.document(record | {"input": ""}, "t") == f"Add.\n{ANSWER}3"
    assert template.document(record | {"input": None}, "t") == f"Add.\n{ANSWER}3"
    assert template.document(record | {"output": " "}, "t") is None
    assert template.document({"output": "3"}, "t") is None
    assert template.prompt("Add.\n1 2") == "Add.\n1 2\n"


WORDS = st.text(st.sampled_from("abæ\n "), max_size=6)


@given(pairs=st.lists(st.tuples(WORDS, WORDS), max_size=6), kind=st.sampled_from(["char", "byte"]))
def test_tokens_of_answers_are_those_of_the_answers(
    pairs: list[tuple[str, str]], kind: str
) -> None:
    tokenizer = build_tokenizer(kind, "abæ\n ", documents=True, document_end=NULL)
    template = Template.of(PAIRED)
    text = "".join(template.pair(*pair) + NULL for pair in pairs)
    ids, answers = encode_answers(text, tokenizer, "error")
    whole = tokenizer.encode_lines(without_marks(text))
    assert ids.tolist() == whole.tolist()
    expected = [
        scored
        for prompt, answer in pairs
        for piece, scored in ((prompt, False), (answer + NULL, True))
        for _ in range(len(tokenizer.encode_lines(piece)))
    ]
    assert answers.tolist() == expected


def test_the_next_speaker_is_learned_too_and_the_rest_is_not() -> None:
    text = CHAT.conversation(TALK) + NULL
    alphabet = "".join(sorted(set(without_marks(text))))
    tokenizer = build_tokenizer("char", alphabet, documents=True, document_end=NULL)
    ids, answers = encode_answers(text, tokenizer, "error")
    assert tokenizer.decode(ids[answers]) == "Yo\nuser: See\nyou\n"
    assert answers[-1]  # that the document ends
