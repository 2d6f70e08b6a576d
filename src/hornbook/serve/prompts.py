"""From the prompts of requests to token ids, and from token ids to the texts of responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hornbook.data.template import ASSISTANT, Template, clean
from hornbook.generate.decoder import hold_last, prompt_ids
from hornbook.serve.errors import refused
from hornbook.serve.limits import Limits
from hornbook.serve.schemas import Message, Prompt
from hornbook.tokenizers import Tokenizer
from hornbook.tokenizers.base import NULL, Unknown


@dataclass(frozen=True)
class Beginning:
    """A prompt as ids. taken: how many of the last of them a longer token may take the place of
    (`split_prompt`). held: their bytes."""

    ids: list[int]
    taken: int = 0
    held: bytes = b""


def as_prompts(
    prompt: Prompt,
    tokenizer: Tokenizer,
    unknown: Unknown,
    limits: Limits,
    *,
    whole: bool = False,
    typed: bool = False,
) -> list[Beginning]:
    """The ids of each prompt of a completion.

    A text begins with the id that starts a document, and its last tokens may become a longer one, as in
    `hornbook sample`; ids are read as they are, unless they are of a text that was typed. whole: a text
    ends where a token does, as that of a template. Null, or no ids, are the start of a document. Raises
    ApiError, DataError.
    """
    if prompt is None or isinstance(prompt, str) or (prompt and isinstance(prompt[0], int)):
        prompts: Sequence[object] = [prompt or ""]
    elif not prompt:
        raise refused("prompt", "found an empty list, expected at least one prompt")
    else:
        prompts = prompt
    if len(prompts) > limits.choices:
        raise refused("prompt", f"found {len(prompts)} prompts, expected at most {limits.choices}")
    found = []
    for one in prompts:
        if isinstance(one, str):
            ids = prompt_ids(tokenizer, one, unknown)
        else:
            assert isinstance(one, list)
            ids = check_ids(one, tokenizer) or [tokenizer.start_id]
        check_length(len(ids), limits)
        completes = (typed or isinstance(one, str)) and not whole
        kept, held = hold_last(tokenizer, ids) if completes else (ids, b"")
        found.append(Beginning(ids, len(ids) - len(kept), held))
    return found


def check_ids(ids: list[int], tokenizer: Tokenizer, param: str = "prompt") -> list[int]:
    """The same ids. Raises ApiError where one is not of the vocabulary."""
    if max(ids, default=0) >= tokenizer.vocab_size:
        raise refused(
            param,
            f"found the id {max(ids)}, expected ids below {tokenizer.vocab_size}, the size of the "
            "vocabulary",
        )
    return ids


def check_length(n: int, limits: Limits, param: str = "prompt") -> None:
    """Raises ApiError for a text of more than `limits.prompt_tokens`."""
    if n > limits.prompt_tokens:
        raise refused(
            param, f"found {n:,} tokens, expected at most {limits.prompt_tokens:,}",
            code="context_length_exceeded",
        )  # fmt: skip


def chat_prompt(
    messages: Sequence[Message], *, documents: bool, template: Template | None = None
) -> str:
    """The text that a model continues to answer messages.

    By the template that it was trained with: a conversation, or the last message as a prompt. Else by a
    plain one: of a stream all messages, each on lines of its own, and the answer begins a new line; of
    documents the last message, as the beginning of one. A last message of the assistant is continued.
    Raises DataError for characters that no text of the template has.
    """
    last = messages[-1]
    if template is not None:
        talk = [(m.role, clean(m.text, "messages")) for m in messages]
        if last.role == ASSISTANT:
            before = talk[:-1] if template.chat or len(talk) > 1 else [("", "")]
            if template.chat:
                return template.reply_to(before, talk[-1][1])
            return template.prompt(before[-1][1]) + talk[-1][1]
        return template.reply_to(talk) if template.chat else template.prompt(talk[-1][1])
    if documents:
        return last.text
    text = "\n".join(message.text for message in messages)
    return text if last.role == "assistant" else f"{text}\n"


def token_text(tokenizer: Tokenizer, token: int) -> str:
    r"""A token as its text; the end of a document as in tokenizer.json, and bytes that are
    no character as `bytes:\xe2`."""
    if token == tokenizer.end_id:
        return tokenizer.end
    raw = tokenizer.decode_bytes([token])
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def encode_with_end(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text in which a null character, which no text holds, is the end of a document."""
    pieces = text.split(NULL) if tokenizer.end_id is not None else [text]
    ids: list[int] = []
    for i, piece in enumerate(pieces):
        ids += [tokenizer.end_id] if i and tokenizer.end_id is not None else []
        ids += tokenizer.encode(piece).tolist()
    return ids
