"""Chat templates of others: which of the known forms they write, without running them."""

from __future__ import annotations

import pytest

from hornbook.data.chat_forms import FORMS, find_form, form_written_by, known_forms

# as published with SmolLM2, Qwen2.5 and Llama 3, shortened where nothing is written
CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% endif %}"
)
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
    "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + "
    "'<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
)
PHI4 = "{{ '<|im_start|>user<|im_sep|>' + message['content'] + '<|im_end|>' }}"
OTHERS = {
    "Llama 2": "{{ bos_token + '[INST] ' + content + ' [/INST]' }}",
    "Gemma": "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}",
    "Zephyr": "{{ '<|user|>\n' + message['content'] + eos_token }}",
    "Phi-4": PHI4,
    "text of a token alone": "<|im_start|>",
    "none": "",
}
TOKENS = ["<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|user|>", "<start_of_turn>", "[INST]"]
TOKENS += ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]


@pytest.mark.parametrize(("program", "name"), [(CHATML, "ChatML"), (LLAMA3, "Llama 3")])
def test_known_forms_are_recognized_by_their_tokens(program: str, name: str) -> None:
    found = form_written_by(program, TOKENS)
    assert found is not None
    assert found.name == name
    assert form_written_by(program, TOKENS[3:6]) is None  # the model lacks the tokens
    assert set(found.special) <= set(TOKENS)
    assert all(token in found.message for token in found.special)


@pytest.mark.parametrize("name", OTHERS)
def test_other_forms_are_not_taken_for_one(name: str) -> None:
    assert form_written_by(OTHERS[name], TOKENS) is None


def test_forms_are_found_by_name_and_by_template() -> None:
    assert [find_form(form.message) for form in FORMS] == list(FORMS)
    assert [find_form(name) for name in ("chatml", "Llama 3")] == list(FORMS)
    assert find_form("{role}: {content}\n") is find_form("") is None
    assert [form.begin for form in FORMS] == ["", "<|begin_of_text|>"]
    assert known_forms() == "ChatML, Llama 3"


@pytest.mark.parametrize("program", [CHATML, LLAMA3])
def test_a_conversation_is_what_the_program_writes(program: str) -> None:
    jinja2 = pytest.importorskip("jinja2")
    from hornbook.data.template import Template

    form = form_written_by(program, TOKENS)
    assert form is not None
    template = Template.of("messages", form.name)
    talk = [("user", "Hi"), ("assistant", "Yo\nyo"), ("user", "Bye")]
    written = template.shown(template.reply_to(talk))
    expected = jinja2.Template(program).render(
        messages=[{"role": r, "content": c} for r, c in talk],
        add_generation_prompt=True,
        bos_token="<|begin_of_text|>",
    )
    assert written == expected
    assert template.stops == (form.special[-1],)
