"""Decoding: samples from any model, whole or streamed.

Works on the contract alone: a model starts rows and continues them token by token, with a state that
the decoder owns. A document ends with the end id; a stream continues past the context by one of two
windows (`models/cached.py`). B batch, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hornbook.errors import ConfigError
from hornbook.generate.sampling import Sampling, draw_key, make_generator, uniforms
from hornbook.generate.stops import TextStream, cut_at_stop
from hornbook.generate.tuning import (
    CACHED_TOKENS,
    CACHED_WORK,
    MAX_LOGITS,
    MAX_ROWS,
    MIN_ROWS,
    SHARED_ROWS,
)
from hornbook.kernels import StaticDecoder
from hornbook.layers.cache import Compaction
from hornbook.models.base import LanguageModel, Window
from hornbook.table import Tabular, on_one_line
from hornbook.tokenizers import Tokenizer
from hornbook.tokenizers.base import Unknown, Written

# logits (B, V), the samples' numbers (B,) and how many tokens they have -> the next tokens (B,)
Draw = Callable[[Tensor, Tensor, int], Tensor]
# yields samples' numbers (k,) and their next tokens (k,); may be sent which of them continue (k,)
TokenRows = Generator[tuple[Tensor, Tensor], Tensor | None, None]


@dataclass(frozen=True, slots=True, repr=False)
class Sample(Tabular):
    """One sample: prompt and continuation. finished: it ended by itself or at a stop string."""

    text: str
    prompt: str
    tokens: int
    finished: bool

    def __repr__(self) -> str:
        return f"Sample({self.text!r}, tokens={self.tokens}, finished={self.finished})"

    def table_rows(self) -> list[list[str]]:
        """One row of a table of samples."""
        text = on_one_line(self.text)
        return [
            ["tokens", "finished", "text"],
            [str(self.tokens), ["no", "yes"][self.finished], text],
        ]


def sample(
    model: LanguageModel,
    tokenizer: Tokenizer,
    *,
    n: int = 1,
    prompt: str = "",
    max_tokens: int = 500,
    sampling: Sampling | None = None,
    stop: Sequence[str] = (),
    seed: int | None = None,
    generator: torch.Generator | None = None,
    batch: int | None = None,
    unknown: Unknown = "error",
    window: Window = "half",
    whole_prompt: bool = False,
) -> list[Sample]:
    """n samples that begin with the prompt, up to `max_tokens` new tokens or a stop string each.

    The text keeps the prompt and not the stop string. seed: a generator made from it (None: a random
    one) in place of `generator`. One number is drawn from the generator, a key: token t of sample i
    depends on the key, i and t, and on neither n nor the batch (but for the rounding of logits, which
    differs between batches of other sizes and for long texts). With `Sampling(draws="torch")` samples
    are drawn one after the other from the generator itself, as in the notes. batch: samples generated
    side by side. unknown: characters of the prompt that the tokenizer does not know raise DataError or
    are skipped. window: of text beyond the context (`models/cached.py`). whole_prompt: the prompt ends
    where a token does, as that of a template; else its last token may become a longer one
    (`split_prompt`).
    """
    _check(n, max_tokens, stop)
    sampling = sampling or Sampling()
    draw = _draw(sampling, _generator(seed, generator))
    start, held = split_prompt(tokenizer, prompt, unknown, whole=whole_prompt)
    draw, max_tokens = _beginning(draw, tokenizer, held), max_tokens + bool(held)
    if unknown == "skip":  # the text shows what the model has read
        prompt = tokenizer.decode(tokenizer.encode(prompt, unknown="skip"))
    if isinstance(prompt, Written):
        prompt = prompt.shown
    batch = batch or rows_at_once(model, len(start) + max_tokens)
    if sampling.draws == "torch":
        batch = 1
    samples: list[Sample] = []
    for first in range(0, n, batch):
        numbers = torch.arange(first, min(first + batch, n), device=model.device)
        rows = generate_ids(model, start, numbers, max_tokens, draw, window)
        texts = [TextStream(tokenizer, stop, skip=len(held)) for _ in numbers] if stop else []
        for tokens, stopped in _collect(rows, texts, first, len(numbers)):
            ended = tokens[-1:].tolist() == [tokenizer.end_id]
            written = tokenizer.decode_bytes(tokens)[len(held) :].decode("utf-8", "replace")
            text, _ = cut_at_stop(written, stop)
            n_tokens = len(tokens) - ended - bool(held)
            samples.append(Sample(prompt + text, prompt, n_tokens, ended or stopped))
    return samples


def stream(
    model: LanguageModel,
    tokenizer: Tokenizer,
    *,
    prompt: str = "",
    max_tokens: int = 500,
    sampling: Sampling | None = None,
    stop: Sequence[str] = (),
    seed: int | None = None,
    generator: torch.Generator | None = None,
    unknown: Unknown = "error",
    window: Window = "half",
    whole_prompt: bool = False,
) -> Iterator[str]:
    """The first of `sample`'s samples piece by piece, without the prompt.

    A piece never splits a character nor contains part of a stop string. Wrong arguments are refused
    by the call, not when the first piece is asked for.
    """
    _check(1, max_tokens, stop)
    draw = _draw(sampling or Sampling(), _generator(seed, generator))
    start, held = split_prompt(tokenizer, prompt, unknown, whole=whole_prompt)
    draw, max_tokens = _beginning(draw, tokenizer, held), max_tokens + bool(held)
    first = torch.zeros(1, dtype=torch.int64, device=model.device)
    tokens = generate_ids(model, start, first, max_tokens, draw, window)
    return _pieces(tokens, TextStream(tokenizer, stop, skip=len(held)))


def _pieces(tokens: TokenRows, text: TextStream) -> Iterator[str]:
    for _, token in tokens:
        if piece := text.push(int(token)):
            yield piece
        if text.stopped:
            return
    if piece := text.finish():
        yield piece


@torch.inference_mode()
def generate_ids(
    model: LanguageModel,
    prompt: Sequence[int],
    samples: Tensor,
    max_tokens: int,
    draw: Draw,
    window: Window = "half",
) -> TokenRows:
    """Continues a prompt once for each of `samples` (n,): every sample is drawn here.

    Yields numbers of samples and their next tokens, (k,) each. Samples that reached the end of their
    document leave, as do those that a bool (k,) sent back excludes. While many samples are equal so
    far, their common rows are computed once.
    """
    model.eval()
    decoder = StaticDecoder(model)
    logits, state = decoder.start(torch.tensor([list(prompt)], device=model.device), window)
    row = torch.zeros_like(samples)  # which of the model's rows each sample continues
    shared = True
    for length in range(max_tokens):
        tokens = draw(logits[row] if shared else logits, samples, length)
        wanted = yield samples, tokens
        stay = tokens != (-1 if model.end_id is None else model.end_id)
        if wanted is not None:
            stay &= wanted
        if length + 1 == max_tokens or not stay.any():
            return
        if shared:
            samples, row, tokens = samples[stay], row[stay], tokens[stay]
            pairs, index = torch.unique(row * model.vocab_size + tokens, return_inverse=True)
            shared = len(pairs) < SHARED_ROWS * len(samples)
            if shared:
                state.select(pairs // model.vocab_size)
                row, tokens = index, pairs % model.vocab_size
            else:
                state.select(row)
        elif not stay.all():
            compaction = Compaction.of(stay)
            state.compact(compaction)
            samples, tokens = compaction(samples.clone()), compaction(tokens.clone())
        logits = decoder.step(tokens, state)


def prompt_ids(tokenizer: Tokenizer, prompt: str, unknown: Unknown = "error") -> list[int]:
    """The ids of a prompt: the end id before a document; a stream's own start only where there is no
    prompt. Raises DataError for unknown characters."""
    ids: list[int] = tokenizer.encode(prompt, unknown=unknown).tolist()
    if tokenizer.end_id is not None or not ids:
        ids = [tokenizer.start_id, *ids]
    return ids


def split_prompt(
    tokenizer: Tokenizer, prompt: str, unknown: Unknown = "error", *, whole: bool = False
) -> tuple[list[int], bytes]:
    """The ids of a prompt, but for the last tokens that a longer one may take the place of; and their
    bytes, with which the first token that is drawn has to begin.

    A text that goes on has other tokens than the prompt: `he`, `l` and `lo`, but `hello`. To continue
    after `he` and `l` would leave out all that the model knows of `hello`.
    """
    ids = prompt_ids(tokenizer, prompt, unknown)
    return (ids, b"") if whole else hold_last(tokenizer, ids)


def hold_last(tokenizer: Tokenizer, ids: list[int]) -> tuple[list[int], bytes]:
    """The ids of a prompt but for the last, and their bytes: as many as one longer token begins with.
    All ids and none where there is no such token."""
    kept, held, bytes_after = ids, b"", b""
    for last in range(len(ids) - 1, 0, -1):
        found = tokenizer.decode_bytes(ids[last : last + 1])
        bytes_after = found + bytes_after
        if not found or len(bytes_after) > tokenizer.longest:
            break
        if tokenizer.extends(bytes_after):
            kept, held = ids[:last], bytes_after
    return kept, held


def begins_otherwise(tokenizer: Tokenizer, held: bytes) -> Tensor:
    """Whether a token does not begin with these bytes, of each, (V,) bool."""
    return torch.tensor(tokenizer.begin_with(held)).logical_not()


def _beginning(draw: Draw, tokenizer: Tokenizer, held: bytes) -> Draw:
    """Draws tokens of which the first begins with these bytes."""
    if not held:
        return draw
    others = begins_otherwise(tokenizer, held)

    def drawn(logits: Tensor, samples: Tensor, length: int) -> Tensor:
        if length == 0:
            logits = logits.masked_fill(others.to(logits.device), -torch.inf)
        return draw(logits, samples, length)

    return drawn


def rows_at_once(model: LanguageModel, length: int) -> int:
    """How many samples of so many tokens are generated side by side."""
    tokens = min(CACHED_TOKENS, CACHED_WORK // max(1, model.n_parameters))
    rows = max(MIN_ROWS, tokens // min(length, model.context_length))
    return max(1, min(MAX_ROWS, rows, MAX_LOGITS // model.vocab_size))


def _collect(
    rows: TokenRows, texts: Sequence[TextStream], first: int, n: int
) -> Iterator[tuple[np.ndarray, bool]]:
    """The tokens of each of n samples from number `first` on, and whether it met a stop string.

    texts: of each sample, which look for stop strings; none where there are none."""
    numbers, tokens = [], []
    stopped = np.zeros(n, dtype=bool)
    step = next(rows, None)
    while step is not None:
        numbers.append(step[0].cpu().numpy() - first)
        tokens.append(step[1].cpu().numpy())
        wanted = None
        if texts:
            for i, token in zip(numbers[-1].tolist(), tokens[-1].tolist(), strict=True):
                texts[i].push(token)
                stopped[i] = texts[i].stopped
            wanted = torch.from_numpy(~stopped[numbers[-1]]).to(step[0].device)
        try:
            step = rows.send(wanted)
        except StopIteration:
            break
    sample_of = np.concatenate(numbers)
    order = sample_of.argsort(kind="stable")
    ends = np.bincount(sample_of, minlength=n).cumsum()
    yield from zip(
        np.split(np.concatenate(tokens)[order], ends[:-1]), stopped.tolist(), strict=True
    )


def _draw(sampling: Sampling, generator: torch.Generator) -> Draw:
    """Draws from the generator itself, or by a key that is drawn from it."""
    if sampling.draws == "torch":
        return lambda logits, samples, length: sampling.choose(logits, generator)
    key = draw_key(generator)

    def draw(logits: Tensor, samples: Tensor, length: int) -> Tensor:
        if logits.device.type not in ("cpu", "cuda"):  # others have no float64
            samples = samples.cpu()
        return sampling.pick(logits, uniforms(key, samples, length))

    return draw


def _generator(seed: int | None, generator: torch.Generator | None) -> torch.Generator:
    if generator is None:
        return make_generator(seed)
    if seed is not None:
        raise ConfigError("seed: found both a seed and a generator, expected one of them")
    return generator


def _check(n: int, max_tokens: int, stop: Sequence[str]) -> None:
    if n < 1:
        raise ConfigError(f"n: found {n}, expected at least 1 sample")
    if max_tokens < 1:
        raise ConfigError(f"max_tokens: found {max_tokens}, expected at least 1")
    if any(not s for s in stop):
        raise ConfigError("stop: found an empty text, expected at least one character")
