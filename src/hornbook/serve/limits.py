"""What one request, and all of them together, may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of the server.

    rows: continuations generated side by side. queue: that wait for a place; beyond it requests are
        answered 429.
    choices: continuations of one request (prompts times `n` or `best_of`).
    tokens: generated in one continuation. prompt_tokens: of one prompt, and of one text to score.
    stops: stop strings of one request. alternatives: other tokens that are listed at a position.
    seconds: of one request, after which a continuation ends with what it has.
    tasks: requests other than generation that wait or run, such as scoring; beyond it 429.
    body: bytes of a request's body. header: bytes of its headers.
    patience: seconds in which the headers, and then the body, must have arrived.
    connections: at once, beyond which new ones are answered 503.
    models: kept in memory; the one that was not used for longest is dropped.
    """

    rows: int = 64
    queue: int = 256
    choices: int = 128
    tokens: int = 4096
    prompt_tokens: int = 8192
    stops: int = 64
    alternatives: int = 20
    seconds: float = 120.0
    tasks: int = 64
    body: int = 4 << 20
    header: int = 16 << 10
    patience: float = 15.0
    connections: int = 1000
    models: int = 8
