"""One continuation while it is generated: its tokens, its text as far as it is certain, its end.

V vocabulary.
"""

from __future__ import annotations

import codecs
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from hornbook.generate.decoder import begins_otherwise
from hornbook.generate.sampling import Sampling
from hornbook.generate.stops import TextStream, cut_at_stop
from hornbook.tokenizers import Tokenizer

FinishReason = Literal["stop", "length"]
Alternatives = tuple[tuple[int, float], ...]  # tokens and their log probabilities, likeliest first


class Logprob(NamedTuple):
    """The log probability of a token, in nats, and the likeliest tokens at its position."""

    token: int
    logprob: float | None
    alternatives: Alternatives


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a continuation is generated.

    bias: added to the logits of tokens. presence, frequency: subtracted from the logits of tokens that
    were generated, once, and for each time. alternatives: how many are recorded at each position;
    None records no log probabilities. deadline: by the monotonic clock. ending: text before the end of
    a document that is not part of the result.
    """

    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int = 500
    stop: tuple[str, ...] = ()
    bias: Mapping[int, float] = field(default_factory=dict)
    presence: float = 0.0
    frequency: float = 0.0
    alternatives: int | None = None
    deadline: float = float("inf")
    ending: str = ""

    @property
    def adjusts(self) -> bool:
        """Whether logits are changed before a token is drawn."""
        return bool(self.bias or self.presence or self.frequency)


@dataclass(frozen=True)
class Piece:
    """What is new of a continuation. finish: why it ended, in the last piece."""

    index: int
    text: str
    logprobs: tuple[Logprob, ...]
    finish: FinishReason | None


class Choice:
    """A continuation of a prompt.

    index: its number in the response. prompt: its ids. taken, held: of the last of them, in whose place
    a token is drawn that begins with their bytes (`Beginning`). key, number: what its draws depend on
    (`sampling.uniforms`).
    generator: draws from it instead, as the notes do. after: the choice that draws from the same
    generator before this one.
    """

    def __init__(
        self,
        index: int,
        prompt: list[int],
        tokenizer: Tokenizer,
        options: Options,
        *,
        taken: int = 0,
        held: bytes = b"",
        key: int = 0,
        number: int = 0,
        generator: torch.Generator | None = None,
        stream: bool = False,
    ) -> None:
        self.index, self.prompt, self.options = index, prompt, options
        self.taken, self.held = taken, held
        self.tokenizer, self.key, self.number, self.generator = tokenizer, key, number, generator
        self.stream = stream
        self.next: Choice | None = None  # draws from the same generator when this one has ended
        self.tokens: list[int] = []
        self.unread: list[int] = []  # of its prompt, the next one last; none is drawn before
        self.logprobs: list[Logprob] = []
        self.finish: FinishReason | None = None
        self.text = ""
        self._texts = None
        if stream or options.stop:
            keep = len(options.ending)
            self._texts = TextStream(tokenizer, options.stop, skip=len(held), keep=keep)
        self._offsets = Offsets(tokenizer, skip=len(held))
        self._sent = 0  # log probabilities that were part of a piece

    @property
    def read(self) -> list[int]:
        """The ids of the prompt that the model reads before it draws."""
        return self.prompt[: len(self.prompt) - self.taken]

    @property
    def n_generated(self) -> int:
        """Tokens generated; not the one that takes the place of the prompt's last ones."""
        return len(self.tokens) - bool(self.held and self.tokens)

    @property
    def adjusts(self) -> bool:
        """Whether the logits of its next token are changed before it is drawn."""
        return self.options.adjusts or bool(self.held and not self.tokens)

    @property
    def shown(self) -> tuple[Logprob, ...]:
        """The log probabilities of the tokens that are part of its text, and of its end."""
        return tuple(self.logprobs[: self._sent])

    def adjust(self, logits: Tensor) -> None:
        """Applies bias and penalties to the logits of its next token in place, (V,), and excludes what
        does not begin as it has to."""
        options = self.options
        if self.held and not self.tokens:
            logits[begins_otherwise(self.tokenizer, self.held).to(logits.device)] = -torch.inf
        for token, bias in options.bias.items():
            logits[token] += bias
        own = self.tokens[1:] if self.held else self.tokens
        if own and (options.presence or options.frequency):
            counts = Counter(own)
            times = torch.tensor(list(counts.values()), dtype=logits.dtype)
            logits[list(counts)] -= options.presence + options.frequency * times

    def push(self, token: int, logprob: Logprob | None, now: float) -> Piece | None:
        """Appends a token. Returns what can be sent of it; of a choice that is not streamed only its
        end."""
        self.tokens.append(token)
        if logprob is not None:
            self.logprobs.append(logprob)
            self._offsets.push(token)
        text = ""
        if token == self.tokenizer.end_id:
            self.finish = "stop"
        elif self._texts is not None:
            text = self._texts.push(token)
            if self._texts.stopped:
                self.finish = "stop"
        if self.finish is None and (
            self.n_generated >= self.options.max_tokens or now > self.options.deadline
        ):
            self.finish = "length"
        if self.finish is not None:
            return self._end(text)
        if not self.stream or not text:
            return None
        self.text += text
        return Piece(self.index, text, self._ready(), None)

    def _end(self, text: str) -> Piece:
        before, stopped = self.text, False
        if self._texts is None or not self.stream:
            raw = self.tokenizer.decode_bytes(self.tokens)[len(self.held) :]
            self.text, stopped = cut_at_stop(raw.decode("utf-8", "replace"), self.options.stop)
        else:
            self.text += text + self._texts.finish()
            stopped = self._texts.stopped
        if self.tokens[-1] == self.tokenizer.end_id and not stopped:
            self.text = self.text.removesuffix(self.options.ending)
        if stopped:
            self.finish = "stop"
        ready = self._ready(everything=not stopped)
        return Piece(self.index, self.text[len(before) :], ready, self.finish)

    def _ready(self, *, everything: bool = False) -> tuple[Logprob, ...]:
        """The log probabilities of the tokens whose text is part of what was sent, or of all."""
        first, n = self._sent, len(self.logprobs)
        if not everything:
            n = bisect_left(self._offsets.before, len(self.text))
        self._sent = n
        return tuple(self.logprobs[first:n])


class Offsets:
    """The number of characters before each token; `before` has one for each that was pushed.

    A token that is part of a character begins where the character does. skip: bytes at the beginning
    that are not part of the text.
    """

    def __init__(self, tokenizer: Tokenizer, start: int = 0, *, skip: int = 0) -> None:
        self.before: list[int] = []
        self._tokenizer, self._characters, self._skip = tokenizer, start, skip
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> None:
        """One more token."""
        raw = self._tokenizer.decode_bytes([token])
        own, pending = raw[self._skip :], self._decoder.getstate()[0]
        self._skip = max(0, self._skip - len(raw))
        first = self._decoder.decode(own[:1])
        # what did not become a character is one of its own, before this token
        broken = pending and first.startswith("\ufffd") and pending + own[:1] != "\ufffd".encode()
        self.before.append(self._characters + bool(broken))
        self._characters += len(first) + len(self._decoder.decode(own[1:]))
