"""Decoding: a stream of tokens from any model, and whole samples made from it.

Works on the contract alone: a model starts rows and goes on with them token by token. A document
ends with the end id; a stream goes on past the context, as its model says (`models/cached.py`).
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hornbook.errors import ConfigError
from hornbook.generate.sampling import Sampling, uniforms
from hornbook.models.base import LanguageModel
from hornbook.tokenizers import Tokenizer
from hornbook.tokenizers.base import Unknown

BATCH = 8192  # samples made side by side at most
BATCH_TOKENS = 1 << 19  # tokens kept of them at most
BATCH_WORK = 1 << 37  # the same times parameters: a larger model keeps more of each token
BATCH_LEAST = 16  # rows from which on even a large model reads its weights often enough
SHARED = 0.9  # beginnings are shared while there are fewer than this share of the samples

# logits (B, V), the samples' numbers (B,) and the place of the draw -> tokens (B,)
Draw = Callable[[Tensor, Tensor, int], Tensor]


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: prompt and continuation. finished: it ended by itself or at a stop."""

    text: str
    prompt: str
    tokens: int
    finished: bool


@torch.inference_mode()
def generate_ids(
    model: LanguageModel, prompt: Sequence[int], samples: Tensor, max_tokens: int, draw: Draw
) -> Generator[tuple[Tensor, Tensor], Tensor | None, None]:
    """Continues a prompt once for each of `samples` (n,) side by side: yields which of them got
    which tokens, (k,) each.

    Samples that reached the end of their document leave, as do those where a bool (k,) that is sent
    back does not hold. While many are the same so far, what is the same is computed once.
    """
    model.eval()
    logits, state = model.start(torch.tensor([list(prompt)], device=model.device))
    row = torch.zeros_like(samples)  # which of the model's rows each sample goes on with
    shared = True
    for place in range(max_tokens):
        chosen = draw(logits[row] if shared else logits, samples, place)
        wanted = yield samples, chosen
        going = chosen != (-1 if model.end_id is None else model.end_id)
        if wanted is not None:
            going &= wanted
        if place + 1 == max_tokens or not going.any():
            return
        if shared:
            samples, row, chosen = samples[going], row[going], chosen[going]
            pairs, where = torch.unique(row * model.vocab_size + chosen, return_inverse=True)
            shared = len(pairs) < SHARED * len(samples)
            if shared:
                state.branch(pairs // model.vocab_size)
                row, chosen = where, pairs % model.vocab_size
            else:
                state.branch(row)
        elif not going.all():
            moves = state.leave(going)
            samples, chosen = moves(samples.clone()), moves(chosen.clone())
        logits = model.step(chosen, state)


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
    batch: int | None = None,
    unknown: Unknown = "error",
) -> list[Sample]:
    """n samples that begin with the prompt, up to `max_tokens` new tokens or a stop each.

    The text keeps the prompt and loses the stop. The generator gives one number, a key: token t of
    sample i depends on the key, i and t, and on neither n nor the batch (but for the rounding of
    logits, which are not the same to the last bit in a batch of another size, nor by the recorded
    operations of a long text). With batch=1 samples
    are drawn one after the other from the generator itself, as in the notes.
    """
    _check(n, max_tokens, stop)
    sampling = sampling or Sampling()
    generator = generator if generator is not None else torch.Generator()
    start = prompt_ids(tokenizer, prompt, unknown)
    if unknown == "skip":  # what is shown is what the model has read
        prompt = tokenizer.decode(tokenizer.encode(prompt, unknown="skip"))
    draw = _from(generator, sampling) if batch == 1 else _keyed(generator, sampling)
    room = min(len(start) + max_tokens, model.context_length)
    kept = min(BATCH_TOKENS, BATCH_WORK // max(1, model.n_parameters))
    batch = batch or min(BATCH, max(BATCH_LEAST, kept // room))
    made: list[Sample] = []
    for first in range(0, n, batch):
        numbers = torch.arange(first, min(first + batch, n), device=model.device)
        rows = generate_ids(model, start, numbers, max_tokens, draw)
        for tokens, stopped in _collect(rows, tokenizer, stop, first, len(numbers)):
            ended = tokens[-1:].tolist() == [tokenizer.end_id]
            text, _ = _cut(tokenizer.decode(tokens), stop)
            made.append(Sample(prompt + text, prompt, len(tokens) - ended, ended or stopped))
    return made


def _collect(
    rows: Generator[tuple[Tensor, Tensor], Tensor | None, None],
    tokenizer: Tokenizer,
    stop: Sequence[str],
    first: int,
    n: int,
) -> Iterator[tuple[np.ndarray, bool]]:
    """The tokens of each sample in order, and whether it met a stop."""
    which, tokens = [], []
    written: list[list[int]] = [[] for _ in range(n if stop else 0)]
    stopped = np.zeros(n, dtype=bool)
    step = next(rows, None)
    while step is not None:
        numbers, chosen = step[0].cpu().numpy() - first, step[1].cpu().numpy()
        which.append(numbers)
        tokens.append(chosen)
        for i, token in zip(numbers.tolist(), chosen.tolist(), strict=True) if stop else ():
            written[i].append(token)
            stopped[i] = _cut(tokenizer.decode(written[i]), stop)[1]
        wanted = torch.from_numpy(~stopped[numbers]).to(step[0].device) if stop else None
        try:
            step = rows.send(wanted)
        except StopIteration:
            break
    sample_of = np.concatenate(which)
    order = sample_of.argsort(kind="stable")
    ends = np.bincount(sample_of, minlength=n).cumsum()
    yield from zip(
        np.split(np.concatenate(tokens)[order], ends[:-1]), stopped.tolist(), strict=True
    )


def _from(generator: torch.Generator, sampling: Sampling) -> Draw:
    return lambda logits, samples, place: sampling.choose(logits, generator)


def _keyed(generator: torch.Generator, sampling: Sampling) -> Draw:
    key = int(torch.randint(2**63 - 1, (), generator=generator))

    def draw(logits: Tensor, samples: Tensor, place: int) -> Tensor:
        if logits.device.type not in ("cpu", "cuda"):  # which have float64
            samples = samples.cpu()
        return sampling.pick(logits, uniforms(key, samples, place))

    return draw


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
    """The first of `sample`'s piece by piece, the prompt left out. Never splits a character, nor
    shows part of a stop."""
    _check(1, max_tokens, stop)
    generator = generator if generator is not None else torch.Generator()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    held = ""  # what may be the beginning of a stop
    keep = max((len(s) for s in stop), default=1) - 1
    start = prompt_ids(tokenizer, prompt, unknown)
    draw = _keyed(generator, sampling or Sampling())
    number = torch.zeros(1, dtype=torch.int64, device=model.device)
    text_of: dict[int, bytes] = {}
    for _, chosen in generate_ids(model, start, number, max_tokens, draw):
        token = int(chosen)
        if token not in text_of:
            text_of[token] = tokenizer.decode_bytes([token])
        held += decoder.decode(text_of[token])
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
