"""Forms of conversations that models of others were trained on, known by their special tokens.

Such a model comes with a template that is a program (Jinja). It is never run: its text shows which of
these forms it writes, and any other is not used.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class ChatForm:
    """A way to write messages.

    message: the template of each. begin: what precedes the first. special: tokens in both, which a
    model of this form has. other: what only programs of other forms write.
    """

    name: str
    message: str
    special: tuple[str, ...]
    begin: str = ""
    other: tuple[str, ...] = ()

    @property
    def tokens(self) -> tuple[str, ...]:
        """All special tokens that it writes."""
        return (*self.special, *filter(None, [self.begin]))

    def program(self, start: str = "") -> str:
        """A chat template (Jinja) that writes this form. start: what precedes all."""
        each = self.message.replace("{role}", "{{ message['role'] }}")
        each = each.replace("{content}", "{{ message['content'] }}")
        answer = self.message.partition("{content}")[0].replace("{role}", "assistant")
        return (
            f"{start}{self.begin}{{% for message in messages %}}{each}{{% endfor %}}"
            f"{{% if add_generation_prompt %}}{answer}{{% endif %}}"
        )


FORMS = (
    ChatForm(
        name="ChatML",
        message="<|im_start|>{role}\n{content}<|im_end|>\n",
        special=("<|im_start|>", "<|im_end|>"),
        other=("<|im_sep|>",),  # Phi-4
    ),
    ChatForm(
        name="Llama 3",
        message="<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>",
        special=("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        begin="<|begin_of_text|>",
    ),
)


def known_forms() -> str:
    """The names of the forms, for messages."""
    return ", ".join(form.name for form in FORMS)


def form_written_by(program: str, tokens: Collection[str]) -> ChatForm | None:
    """The form that a chat template writes; None for another one. tokens: special ones of the model.

    >>> form_written_by("{{ '<|im_start|>' + m.role }} ... <|im_end|>", ["<|im_start|>"]) is None
    True
    """
    for form in FORMS:
        written = all(token in program for token in form.special)
        if written and set(form.special) <= set(tokens):
            return None if any(token in program for token in form.other) else form
    return None


def find_form(text: str) -> ChatForm | None:
    """The form of this name, in any case of letters, or with this template of a message."""
    return next((f for f in FORMS if text == f.message or text.lower() == f.name.lower()), None)
