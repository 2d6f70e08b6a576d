"""Prompts and answers as text, and which part of it is the answer.

A pair is a prompt and its completion. The default template puts one after the other, as TRL does:

    {prompt}{completion}

A conversation is a list of messages, each with a role and its content. The template is that of a
message, and the messages follow one another:

    {role}: {content}\\n

Of a document made like this only answers are learned: a completion, or what the assistant says, up to
and with what ends it. That is the end of the document or, inside a conversation, the rest of the
template and the beginning of the next message, such as "\\nuser: ", at which a reply is stopped.

Within hornbook an answer is marked by two characters of the text, ANSWER before it and ANSWER_END
behind it (not at the end of a document); no text has them, and they never become tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.data.sources.records import field_of, plain_text
from hornbook.errors import ConfigError, DataError
from hornbook.tokenizers.base import NULL, STAND_INS, Ids, Tokenizer, Unknown, stand_in

PAIR = "{prompt}{completion}"
MESSAGE = "{role}: {content}\n"
MESSAGES = "messages"  # the field of conversations
PAIRED = "prompt+completion"  # the fields of pairs
USER, ASSISTANT = "user", "assistant"
ANSWER, ANSWER_END = "\x02", "\x03"
MARKS = re.compile(f"[{ANSWER}{ANSWER_END}]")
WITHOUT = dict.fromkeys(STAND_INS)  # what is taken out of what others write
SEGMENTS = re.compile(f"([{ANSWER}{ANSWER_END}{NULL}])")

Message = tuple[str, str]  # role, content


@dataclass(frozen=True)
class Template:
    """How prompts and answers become text. fields: of a pair, or that of conversations.

    special: special tokens that the template contains, such as `<|im_start|>` (`Tokenizer.special`). In
    a message the same characters are ordinary text.
    """

    text: str
    fields: tuple[str, ...]
    special: tuple[str, ...] = ()

    @classmethod
    def of(cls, field: str, text: str = "") -> Template:
        """The template of a field, MESSAGES or two names with + between them. text: empty for the
        default.

        Raises ConfigError where it does not have both fields in their order.
        """
        fields = tuple(field.split("+", 1))
        default = MESSAGE if len(fields) == 1 else PAIR
        template = cls(text.replace("\\n", "\n") or default, fields)
        first, second = template._names
        found = template.text
        once = found.count(first) == found.count(second) == 1
        if not once or found.index(first) > found.index(second):
            raise ConfigError(
                f"template: found {text!r}, expected {first} and then {second}, once each, such as "
                f"{default!r}"
            )
        return template

    @property
    def chat(self) -> bool:
        """Whether it is of conversations rather than pairs."""
        return len(self.fields) == 1

    @property
    def _names(self) -> tuple[str, str]:
        return ("{role}", "{content}") if self.chat else ("{prompt}", "{completion}")

    @property
    def _parts(self) -> tuple[str, str, str]:
        """The text before, between and after the two fields, stand-ins for special tokens."""
        first, second = self._names
        text = self.text
        for i, token in enumerate(self.special):
            text = text.replace(token, stand_in(i))
        before, rest = text.split(first)
        between, after = rest.split(second)
        return before, between, after

    @property
    def stops(self) -> tuple[str, ...]:
        """What ends an answer, besides the end of the document."""
        before, between, after = self._parts
        if ends := [self.special[STAND_INS.index(ord(c))] for c in after if ord(c) in STAND_INS]:
            return (ends[0],)
        stop = f"{after}{before}{USER}{between}" if self.chat else after
        return (stop,) if stop.strip() else ()

    def document(self, record: Mapping[str, Any], place: str) -> str | None:
        """A record as text with its answers marked; None where a part of it is missing.

        Raises DataError for what is no text.
        """
        if self.chat:
            messages = list(read_messages(record.get(self.fields[0]), place))
            return self.conversation(messages) if any(r == ASSISTANT for r, _ in messages) else None
        prompt, completion = (field_of(record, name) for name in self.fields)
        if not isinstance(prompt, str | int | float) or not isinstance(
            completion, str | int | float
        ):
            return None
        return self.pair(clean(str(prompt), place), clean(str(completion), place))

    def pair(self, prompt: str, completion: str) -> str:
        """A pair as text, its answer marked."""
        return f"{self.prompt(prompt)}{ANSWER}{completion}{self._parts[2]}"

    def conversation(self, messages: Sequence[Message]) -> str:
        """Messages as text, the answers marked."""
        before, between, after = self._parts
        if self.special:
            messages = [(role, content.translate(WITHOUT)) for role, content in messages]
        text = ""
        for i, (role, content) in enumerate(messages):
            begun = i > 0 and messages[i - 1][0] == ASSISTANT  # an answer, which ends here
            text += f"{before}{role}{between}{ANSWER_END if begun else ''}"
            text += f"{ANSWER if role == ASSISTANT else ''}{content}{after}"
        return text

    def prompt(self, prompt: str) -> str:
        """The text up to where the answer to a prompt begins; of a conversation, to a first message."""
        if self.chat:
            return self.reply_to([(USER, prompt)])
        before, between, _ = self._parts
        return f"{before}{prompt}{between}"

    @property
    def ending(self) -> str:
        """What follows an answer at the end of a document."""
        return self._parts[2]

    def answer_of(self, text: str) -> str:
        """An answer as it was generated, without the rest of the template."""
        return text.removesuffix(self.ending)

    def reply_to(self, messages: Sequence[Message]) -> str:
        """The text of a conversation up to where the next answer begins."""
        before, between, _ = self._parts
        return without_marks(self.conversation(messages)) + f"{before}{ASSISTANT}{between}"


def read_messages(value: Any, place: str) -> Iterator[Message]:
    """The messages of a conversation; what is no text in them, such as a picture, is left out."""
    for message in value if isinstance(value, list) else ():
        if not isinstance(message, Mapping):
            raise DataError(
                f"{place}: found {message!r:.40}, expected a message with role and content"
            )
        content = message.get("content")
        if isinstance(content, list):  # parts, each of its own type
            texts = [part.get("text") for part in content if isinstance(part, Mapping)]
            content = "\n".join(text for text in texts if isinstance(text, str))
        if isinstance(content, str) and content:
            yield clean(str(message.get("role") or ""), place), clean(content, place)


def clean(text: str, place: str) -> str:
    """A text with line ends as LF. Raises DataError for characters that no text has."""
    if found := MARKS.search(text):
        raise DataError(
            f"{place}: found the control character U+{ord(found[0]):04X}, expected text; take it out"
        )
    return plain_text(text, place)


def is_conversations(record: Mapping[str, Any]) -> bool:
    """Whether a record has a list of messages."""
    value = record.get(MESSAGES)
    return isinstance(value, list) and all(isinstance(m, Mapping) and "role" in m for m in value)


def without_marks(text: str) -> str:
    """A text without the marks of its answers."""
    return MARKS.sub("", text) if ANSWER in text or ANSWER_END in text else text


def encode_answers(
    text: str, tokenizer: Tokenizer, unknown: Unknown
) -> tuple[Ids, NDArray[np.bool_]]:
    """The ids of documents whose answers are marked, (N,), and which of them belong to an answer, (N,).

    What lies between two marks is encoded by itself, so that no token is partly of an answer.
    """
    ids, scored, answer = list[Ids](), list[NDArray[np.bool_]](), False
    for segment in SEGMENTS.split(text):
        if segment == ANSWER:
            answer = True
        elif segment == ANSWER_END:
            answer = False
        elif segment:
            found = tokenizer.encode_lines(segment, unknown=unknown)
            ids.append(found)
            scored.append(np.full(len(found), answer))
            answer = answer and segment != NULL
    if not ids:
        return tokenizer.encode_lines(""), np.zeros(0, dtype=np.bool_)
    return np.concatenate(ids), np.concatenate(scored)


def prompt_of(document: str) -> str:
    """What precedes the first answer of a document whose answers are marked."""
    return without_marks(document.partition(ANSWER)[0])


def fields_of_pairs(records: Iterable[Mapping[str, Any]]) -> str:
    """MESSAGES or PAIRED, where the first record is of that form; else nothing."""
    first = next(iter(records), {})
    if is_conversations(first):
        return MESSAGES
    return PAIRED if {"prompt", "completion"} <= first.keys() else ""
