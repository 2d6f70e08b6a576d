"""The shapes of OpenAI's responses."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from hornbook.serve.choice import Choice, FinishReason, Logprob, Offsets, Piece
from hornbook.serve.prompts import Beginning, token_text
from hornbook.tokenizers import Tokenizer
from hornbook.version import __version__


def envelope(prefix: str, kind: str, model: str) -> dict[str, Any]:
    """The fields that all parts of one response have in common."""
    return {
        "id": f"{prefix}-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": f"hornbook-{__version__}",
    }


def usage(prompts: Sequence[Beginning], choices: Sequence[Choice]) -> dict[str, int]:
    """Tokens read and generated; the end of a document is one."""
    read = sum(len(prompt.ids) for prompt in prompts)
    generated = sum(choice.n_generated for choice in choices)
    return {
        "prompt_tokens": read,
        "completion_tokens": generated,
        "total_tokens": read + generated,
    }


class CompletionFormat:
    """`/v1/completions`: text, and log probabilities as parallel lists.

    begun: of each continuation, the prompt whose last tokens its first one may take the place of. ids:
    tokens are spelled `token_id:N`.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, logprobs: bool, begun: Sequence[Beginning], ids: bool = False
    ) -> None:
        self.tokenizer, self.logprobs = tokenizer, logprobs
        self.begun, self.ids = begun, ids
        self._offsets: dict[int, Offsets] = {}

    def choice(
        self, index: int, text: str, entries: Sequence[Logprob], finish: FinishReason | None
    ) -> dict[str, Any]:
        """A continuation, or the next piece of one. Offsets of pieces count on from those before.

        hornbook's own: `replaces_last` is the number of the prompt's last tokens whose place the first
        token of the log probabilities takes.
        """
        known = self._offsets.get(index)
        first = known is None or not known.before
        logprobs = self._logprobs(index, entries) if self.logprobs else None
        found = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}
        if logprobs and entries and first and (taken := self.begun[index].taken):
            found["replaces_last"] = taken
        return found

    def _logprobs(self, index: int, entries: Sequence[Logprob]) -> dict[str, Any]:
        if index not in self._offsets:
            self._offsets[index] = Offsets(self.tokenizer, skip=len(self.begun[index].held))
        offsets = self._offsets[index]
        first = len(offsets.before)
        for entry in entries:
            offsets.push(entry.token)
        tops: list[dict[str, float] | None] = []
        for entry in entries:
            top = {self._spelled(t): p for t, p in entry.alternatives}
            if entry.logprob is not None:
                top.setdefault(self._spelled(entry.token), entry.logprob)
            tops.append(top if entry.logprob is not None else None)
        return {
            "tokens": [self._spelled(entry.token) for entry in entries],
            "token_logprobs": [entry.logprob for entry in entries],
            "top_logprobs": tops,
            "text_offset": offsets.before[first:],
        }

    def _spelled(self, token: int) -> str:
        return f"token_id:{token}" if self.ids else token_text(self.tokenizer, token)

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """A piece of a stream."""
        return self.choice(piece.index, piece.text, piece.logprobs, piece.finish)


class ChatFormat:
    """`/v1/chat/completions`: messages, or their changes, and log probabilities as objects."""

    def __init__(self, tokenizer: Tokenizer, *, logprobs: bool) -> None:
        self.tokenizer, self.logprobs = tokenizer, logprobs

    def choice(self, choice: Choice) -> dict[str, Any]:
        """A whole message."""
        message = {"role": "assistant", "content": choice.text, "refusal": None}
        return {
            "index": choice.index,
            "message": message,
            "logprobs": self._logprobs(choice.shown),
            "finish_reason": choice.finish,
        }

    def first(self, index: int) -> dict[str, Any]:
        """The beginning of a stream."""
        delta = {"role": "assistant", "content": ""}
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}

    def chunk(self, piece: Piece) -> dict[str, Any]:
        """A piece of a stream."""
        return {
            "index": piece.index,
            "delta": {"content": piece.text} if piece.text else {},
            "logprobs": self._logprobs(piece.logprobs),
            "finish_reason": piece.finish,
        }

    def _logprobs(self, entries: Sequence[Logprob]) -> dict[str, Any] | None:
        if not self.logprobs:
            return None
        content = []
        for entry in entries:
            top = [self._token(t, p) for t, p in entry.alternatives]
            content.append({**self._token(entry.token, entry.logprob), "top_logprobs": top})
        return {"content": content, "refusal": None}

    def _token(self, token: int, logprob: float | None) -> dict[str, Any]:
        return {
            "token": token_text(self.tokenizer, token),
            "logprob": logprob,
            "bytes": list(self.tokenizer.decode_bytes([token])),
        }
