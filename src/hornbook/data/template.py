"""Prompts and answers as text, and which part of it is the answer.

A pair is a prompt and its completion. The default template puts one after the other, as TRL does, and a
line break between them where their fields have other names:

    {prompt}{completion}
    {prompt}\\n{completion}

A prompt may be of several fields, such as an instruction and its input, each on a line of its own.

A conversation is a list of messages, each with a role and its content. The template is that of a
message, and the messages follow one another:

    {role}: {content}\\n

Of a document made like this only answers are learned: a completion, or what the assistant says, up to
and with what ends it. That is the end of the document or, inside a conversation, the rest of the
template and the beginning of the next message, such as "\\nuser: ", at which a reply is stopped.

Models of others were trained on conversations in forms of their own (`data/chat_forms.py`), whose
turns begin and end with special tokens. In such a form, an answer ends with the token that ends its
turn, and a pair is a conversation of two messages.

Within hornbook an answer is marked by two characters of the text, ANSWER before it and ANSWER_END
behind it (not at the end of a document); no text has them, and they never become tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hornbook.data.chat_forms import ChatForm, find_form
from hornbook.data.sources.records import INSPECTED, field_of, plain_text
from hornbook.errors import ConfigError, DataError
from hornbook.tokenizers.base import NULL, STAND_INS, Ids, Tokenizer, Unknown, Written, stand_in

PAIR = "{prompt}{completion}"
PAIR_OF_LINES = "{prompt}\n{completion}"  # of fields with other names than PAIRED
MESSAGE = "{role}: {content}\n"
MESSAGES = "messages"
CONVERSATIONS = (MESSAGES, "conversations", "conversation")  # fields that hold them
PAIRED = "prompt+completion"
PAIRS = (  # fields of pairs that are recognized: the last is the answer, the others are the prompt
    PAIRED,
    "prompt+response",
    "instruction+input+output",
    "instruction+output",
    "instruction+context+response",
    "instruction+response",
    "question+answer",
)
USER, ASSISTANT = "user", "assistant"
ROLES = {"human": USER, "gpt": ASSISTANT}  # the names that ShareGPT has for them
ANSWER, ANSWER_END = "\x02", "\x03"
MARKS = re.compile(f"[{ANSWER}{ANSWER_END}]")
WITHOUT = dict.fromkeys(STAND_INS)  # what is taken out of what others write
SEGMENTS = re.compile(f"([{ANSWER}{ANSWER_END}{NULL}])")

Message = tuple[str, str]  # role, content


@dataclass(frozen=True)
class Template:
    """How prompts and answers become text. fields: that of conversations; or those of a prompt, and
    last that of its answer.

    special: special tokens that the template contains, such as `<|im_start|>` (`Tokenizer.special`). In
    a message the same characters are ordinary text. begin: what precedes the first message.

    In a text that is made, a character stands for each special token (`stand_in`); `shown` has them as
    they are written.
    """

    text: str
    fields: tuple[str, ...]
    special: tuple[str, ...] = ()
    begin: str = ""

    @classmethod
    def of(cls, field: str, text: str = "") -> Template:
        """The template of a field of conversations, or of names with + between them. text: empty for
        the default, or the name of a form of `data/chat_forms.py`.

        Raises ConfigError where it does not have both fields in their order.
        """
        fields = tuple(field.split("+"))
        if form := None if "{" in text else find_form(text):
            return cls.of_form(form, fields)
        default = PAIR if field == PAIRED else PAIR_OF_LINES
        default = MESSAGE if len(fields) == 1 else default
        template = cls(unescaped(text) or default, fields)
        first, second = template._names
        found = template.text
        once = found.count(first) == found.count(second) == 1
        if not once or found.index(first) > found.index(second):
            raise ConfigError(
                f"template: found {text!r}, expected {first} and then {second}, once each, such as "
                f"{default!r}"
            )
        return template

    @classmethod
    def of_form(cls, form: ChatForm, fields: tuple[str, ...] = (MESSAGES,)) -> Template:
        """The template of a form."""
        return cls(form.message, fields, form.tokens, form.begin)

    @property
    def form(self) -> ChatForm | None:
        """The form whose special tokens it writes; None of a plain template."""
        return find_form(self.text) if self.special else None

    @property
    def setting(self) -> str:
        """What `of` takes for it: the name of its form, or its text."""
        return self.text if self.form is None else self.form.name

    @property
    def chat(self) -> bool:
        """Whether it writes conversations, be they read as such or as pairs."""
        return len(self.fields) == 1 or bool(self.special)

    @property
    def _names(self) -> tuple[str, str]:
        return ("{role}", "{content}") if self.chat else ("{prompt}", "{completion}")

    def shown(self, text: str) -> str:
        """A text that it made without marks, and special tokens as they are written."""
        return Written(without_marks(text), self.special).shown

    @property
    def _parts(self) -> tuple[str, str, str]:
        """The text before, between and after the two fields, stand-ins for special tokens."""
        first, second = self._names
        before, rest = self._with_stand_ins(self.text).split(first)
        between, after = rest.split(second)
        return before, between, after

    def _with_stand_ins(self, text: str) -> str:
        for i, token in enumerate(self.special):
            text = text.replace(token, stand_in(i))
        return text

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
        if len(self.fields) == 1:
            messages = list(read_messages(field_of(record, self.fields[0]), place))
            return self.conversation(messages) if any(r == ASSISTANT for r, _ in messages) else None
        found = [field_of(record, name) for name in self.fields]
        texts = [clean(str(v), place) if isinstance(v, str | int | float) else "" for v in found]
        prompt = "\n".join(text for text in texts[:-1] if text.strip())
        if not (prompt and texts[-1].strip()):
            return None
        if self.chat:
            return self.conversation([(USER, prompt), (ASSISTANT, texts[-1])])
        return self.pair(prompt, texts[-1])

    def roles(self, record: Mapping[str, Any]) -> list[str]:
        """The roles in a conversation, as they are written."""
        value = field_of(record, self.fields[0]) if len(self.fields) == 1 else None
        messages = value if isinstance(value, list) else ()
        found = [m.get("role") or m.get("from") for m in messages if isinstance(m, Mapping)]
        return [str(role) for role in found if role]

    def pair(self, prompt: str, completion: str) -> str:
        """A pair as text, its answer marked."""
        return f"{self.prompt(prompt)}{ANSWER}{completion}{self._parts[2]}"

    def conversation(self, messages: Sequence[Message]) -> str:
        """Messages as text, the answers marked."""
        before, between, after = self._parts
        answered = after
        if self.special:
            messages = [(r.translate(WITHOUT), c.translate(WITHOUT)) for r, c in messages]
            ends = next((i + 1 for i, c in enumerate(after) if ord(c) in STAND_INS), len(after))
            answered = f"{after[:ends]}{ANSWER_END}{after[ends:]}"
        text = self._with_stand_ins(self.begin)
        for i, (role, content) in enumerate(messages):
            # an answer that ends with the beginning of the next message
            begun = not self.special and i > 0 and messages[i - 1][0] == ASSISTANT
            text += f"{before}{role}{between}{ANSWER_END if begun else ''}"
            text += f"{ANSWER}{content}{answered}" if role == ASSISTANT else f"{content}{after}"
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

    def reply_to(self, messages: Sequence[Message], begun: str = "") -> str:
        """The text of a conversation up to where the next answer begins, and what is begun of it."""
        before, between, _ = self._parts
        text = without_marks(self.conversation(messages)) + f"{before}{ASSISTANT}{between}"
        if self.special:
            return Written(text + begun.translate(WITHOUT), self.special)
        return text + begun


def unescaped(text: str) -> str:
    """A template as it is typed, with line breaks for \\n."""
    return text.replace("\\n", "\n")


def read_messages(value: Any, place: str) -> Iterator[Message]:
    """The messages of a conversation; what is no text in them, such as a picture, is left out."""
    for message in value if isinstance(value, list) else ():
        if not isinstance(message, Mapping):
            raise DataError(
                f"{place}: found {message!r:.40}, expected a message with role and content"
            )
        content = message.get("content", message.get("value"))
        if isinstance(content, list):  # parts, each of its own type
            texts = [part.get("text") for part in content if isinstance(part, Mapping)]
            content = "\n".join(text for text in texts if isinstance(text, str))
        if isinstance(content, str) and content:
            role = str(message.get("role") or message.get("from") or "")
            yield clean(ROLES.get(role, role), place), clean(content, place)


def clean(text: str, place: str) -> str:
    """A text with line ends as LF. Raises DataError for characters that no text has."""
    if found := MARKS.search(text):
        raise DataError(
            f"{place}: found the control character U+{ord(found[0]):04X}, expected text; take it out"
        )
    return plain_text(text, place)


def is_conversation(value: Any) -> bool:
    """Whether a value is a list of messages: objects with a role, or as ShareGPT has it, `from`.

    >>> is_conversation([{"from": "human", "value": "Hi"}]), is_conversation(["Hi"])
    (True, False)
    """
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(m, Mapping) and not {"role", "from"}.isdisjoint(m) for m in value)
    )


def without_marks(text: str) -> str:
    """A text without the marks of its answers."""
    return MARKS.sub("", text) if ANSWER in text or ANSWER_END in text else text


def encode_answers(
    text: str, tokenizer: Tokenizer, unknown: Unknown, special: Sequence[str] = ()
) -> tuple[Ids, NDArray[np.bool_]]:
    """The ids of documents whose answers are marked, (N,), and which of them belong to an answer, (N,).

    What lies between two marks is encoded by itself, so that no token is partly of an answer. special:
    those of the template that wrote the documents.
    """
    ids, scored, answer = list[Ids](), list[NDArray[np.bool_]](), False
    for segment in SEGMENTS.split(text):
        if segment == ANSWER:
            answer = True
        elif segment == ANSWER_END:
            answer = False
        elif segment:
            written = Written(segment, special) if special else segment
            found = tokenizer.encode_lines(written, unknown=unknown)
            ids.append(found)
            scored.append(np.full(len(found), answer))
            answer = answer and segment != NULL
    if not ids:
        return tokenizer.encode_lines(""), np.zeros(0, dtype=np.bool_)
    return np.concatenate(ids), np.concatenate(scored)


def prompt_of(document: str) -> str:
    """What precedes the first answer of a document whose answers are marked."""
    return without_marks(document.partition(ANSWER)[0])


def fields_of_answers(records: Iterable[Mapping[str, Any]], requested: str = "") -> str:
    """The field of conversations, or the fields of prompts and answers, by the first records; nothing
    where they have none.

    requested: the one field, or the fields with + between them, that may be it; empty to look for one
    of CONVERSATIONS or PAIRS, in any case of letters.
    """
    if "+" in requested:
        return requested
    first = list(islice(records, INSPECTED))
    for field in (requested,) if requested else CONVERSATIONS:
        if any(is_conversation(field_of(record, field)) for record in first):
            return field
    names = {str(name).lower(): str(name) for record in first for name in record}
    for pair in () if requested else PAIRS:
        if names.keys() >= set(fields := pair.split("+")):
            return "+".join(names[field] for field in fields)
    return ""
