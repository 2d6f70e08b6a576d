"""Decoding: a stream of tokens from any model, and whole samples made from it.

Works on the contract alone: `next_logits` of the last `context_length` tokens. A document ends with
the end id; a stream goes on past the context, which then slides.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hornbook.errors import ConfigError
from hornbook.generate.sampling import Sampling
from hornbook.models.base import LanguageModel
from hornbook.tokenizers import Tokenizer
from hornbook.tokenizers.base import Unknown

BATCH = 512  # samples made side by side


@dataclass(frozen=True)
class Sample:
    """One sample: prompt and continuation. finished: it ended by itself or at a stop."""

    text: str
    prompt: str
    tokens: int
    finished: bool


@torch.inference_mode()
def generate_ids(
    model: LanguageModel,
    prompt: Sequence[int],
    n: int,
    max_tokens: int,
    sampling: Sampling,
    generator: torch.Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Continues a prompt n times side by side: yields (which samples, their next tokens), (k,) each.

    Samples that reached the end of their document are left out from then on. A document longer than
    the context goes on from its last `context_length` tokens, like a stream.
    """
    model.eval()
    device = model.device
    ids = torch.tensor([list(prompt)] * n, device=device)
    alive = torch.arange(n, device=device)
    for _ in range(max_tokens):
        logits = model.next_logits(ids[:, -model.context_length :])
        chosen = sampling.choose(logits, generator)
        yield alive, chosen
        ids = torch.cat([ids, chosen[:, None]], dim=1)[:, -model.context_length :]
        if model.end_id is not None:
            going = chosen != model.end_id
            alive, ids = alive[going], ids[going]
            if not len(alive):
                return


def prompt_ids(tokenizer: Tokenizer, prompt: str, unknown: Unknown = "error") -> list[int]:
    """The ids that a prompt begins with: the end id before a document; a stream's own start only
    where there is no prompt. Raises DataError for unknown symbols."""
    ids: list[int] = tokenizer.encode(prompt, unknown=unknown).tolist()
    if tokenizer.end_id is not None or not ids:
        ids = [tokenizer.start_id, *ids]
    return ids


def sample(
    model: LanguageModel,
    tokenizer: Tokenizer,
    *,
    n: int = 1,
    prompt: str = "",
    max_tokens: int = 500,
    sampling: Sampling | None = None,
    stop: Sequence[str] = (),
    generator: torch.Generator | None = None,
    batch: int = BATCH,
    unknown: Unknown = "error",
) -> list[Sample]:
    """n samples that begin with the prompt, up to `max_tokens` new tokens or a stop each.

    The text keeps the prompt and loses the stop. With batch=1 samples are drawn one after the other
    from the generator, as in the notes.
    """
    _check(n, max_tokens, stop)
    generator = generator if generator is not None else torch.Generator()
    start = prompt_ids(tokenizer, prompt, unknown)
    if unknown == "skip":  # what is shown is what the model has read
        prompt = tokenizer.decode(tokenizer.encode(prompt, unknown="skip"))
    samples = []
    for first in range(0, n, batch):
        count = min(batch, n - first)
        made: list[list[int]] = [[] for _ in range(count)]
        finished = [False] * count
        stopped: set[int] = set()
        for alive, chosen in generate_ids(
            model, start, count, max_tokens, sampling or Sampling(), generator
        ):
            for i, token in zip(alive.tolist(), chosen.tolist(), strict=True):
                if token == tokenizer.end_id:
                    finished[i] = True
                else:
                    made[i].append(token)
                    if stop and i not in stopped and _cut(tokenizer.decode(made[i]), stop)[1]:
                        stopped.add(i)
            if len(stopped) + sum(finished) >= count and stop:
                break
        for tokens, ended in zip(made, finished, strict=True):
            text, cut = _cut(tokenizer.decode(tokens), stop)
            samples.append(Sample(prompt + text, prompt, len(tokens), ended or cut))
    return samples


def stream(
    model: LanguageModel,
    tokenizer: Tokenizer,
    *,
    prompt: str = "",
    max_tokens: int = 500,
    sampling: Sampling | None = None,
    stop: Sequence[str] = (),
    generator: torch.Generator | None = None,
    unknown: Unknown = "error",
) -> Iterator[str]:
    """One sample piece by piece, the prompt left out. Never splits a character, nor shows part of a
    stop."""
    _check(1, max_tokens, stop)
    generator = generator if generator is not None else torch.Generator()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    held = ""  # what may be the beginning of a stop
    keep = max((len(s) for s in stop), default=1) - 1
    start = prompt_ids(tokenizer, prompt, unknown)
    for _, chosen in generate_ids(model, start, 1, max_tokens, sampling or Sampling(), generator):
        held += decoder.decode(tokenizer.decode_bytes(chosen.tolist()))
        held, found = _cut(held, stop)
        if found:
            break
        ready = len(held) - keep
        if ready > 0:
            yield held[:ready]
            held = held[ready:]
    else:
        held, _ = _cut(held + decoder.decode(b"", final=True), stop)
    if held:
        yield held


def _cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    places = [place for s in stop if (place := text.find(s)) >= 0]
    return (text[: min(places)], True) if places else (text, False)


def _check(n: int, max_tokens: int, stop: Sequence[str]) -> None:
    if n < 1:
        raise ConfigError(f"n: found {n}, expected at least 1 sample")
    if max_tokens < 1:
        raise ConfigError(f"max-tokens: found {max_tokens}, expected at least 1")
    if any(not s for s in stop):
        raise ConfigError("stop: found an empty text, expected at least one symbol")
