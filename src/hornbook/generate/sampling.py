"""From logits to the next token: pure functions of logits. B batch, V vocabulary."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from hornbook.errors import ConfigError

Draws = Literal["keyed", "torch"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is chosen. Raises ConfigError for values out of range.

    temperature: divides the logits; 0 is greedy. top_k: samples from the k most probable tokens. top_p:
    from the fewest whose probabilities sum to p (nucleus, Holtzman et al. 2020). min_p: from those at
    least min_p times as probable as the best.

    draws: "keyed": token t of sample i depends on a key of the generator, i and t alone, so that
    samples are drawn side by side and depend neither on n nor on the batch. "torch": the way of the
    notes, `torch.multinomial` for one token after the other, one sample after the other, all from
    the generator itself: the same probabilities and seed give the notes' samples, and it is slower.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    draws: Draws = "keyed"

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            _refuse("temperature", self.temperature, "0 (greedy) or more")
        if self.top_k is not None and self.top_k < 1:
            _refuse("top_k", self.top_k, "1 or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            _refuse("top_p", self.top_p, "above 0 and at most 1")
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            _refuse("min_p", self.min_p, "between 0 and 1")
        if self.draws not in get_args(Draws):
            _refuse("sampling", repr(self.draws), " or ".join(get_args(Draws)))

    def filter(self, logits: Tensor) -> Tensor:
        """Temperature, then top-k, top-p and min-p; (B, V) -> (B, V), -inf for tokens left out."""
        if self.temperature not in (0.0, 1.0):
            # shifted to a maximum of 0, so that no low temperature overflows
            logits = (logits - logits.max(dim=-1, keepdim=True).values) / self.temperature
        if self.top_k is not None:
            logits = top_k(logits, self.top_k)
        if self.top_p is not None:
            logits = top_p(logits, self.top_p)
        if self.min_p is not None:
            logits = min_p(logits, self.min_p)
        return logits

    def choose(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """Draws one token per row, (B, V) -> (B,). The generator is on the CPU."""
        logits = logits.float()
        if self.temperature == 0:
            return logits.argmax(dim=-1)
        p = self.filter(logits).softmax(dim=-1).cpu()
        drawn = torch.multinomial(p, 1, replacement=True, generator=generator)
        return drawn[:, 0].to(logits.device)

    def pick(self, logits: Tensor, u: Tensor) -> Tensor:
        """The quantile u of each row's distribution, (B, V), (B,) in [0, 1) -> (B,).

        The inverse of the cumulative distribution: with u from `uniforms`, a draw. In float64, so
        that rounding never picks a token of probability 0.
        """
        logits = logits.float()
        if self.temperature == 0:
            return logits.argmax(dim=-1)
        cumulative = (
            self.filter(logits).softmax(dim=-1).to(u.device).cumsum(-1, dtype=torch.float64)
        )
        mass = u * cumulative[:, -1]
        found = torch.searchsorted(cumulative, mass[:, None], right=True)[:, 0]
        return found.clamp(max=logits.shape[1] - 1).to(logits.device)  # if logits are NaN


GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / the golden ratio
BITS = (1 << 64) - 1
ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def uniforms(key: int | Tensor, samples: Tensor, position: int | Tensor) -> Tensor:
    """A number for the draw of each sample at a position, (B,) int64 -> (B,) float64 in [0, 1).

    It depends on (key, sample, position) alone, so a sample does not depend on its batch: SplitMix64
    (Steele, Lea and Flood 2014), counted instead of run (Salmon et al. 2011). Key and position are the
    same for all samples, or tensors (B,) int64 with those of each.
    """
    if isinstance(key, Tensor) or isinstance(position, Tensor):
        keys, positions = (torch.as_tensor(x, device=samples.device) for x in (key, position))
        mixed = _mix(_mix(keys) + positions * _signed(GOLDEN))
        return _right(_mix(samples * _signed(GOLDEN) + mixed), 12).double() * 2.0**-52
    base = _mix_int((_mix_int(key) + position * GOLDEN) & BITS)
    if len(samples) == 1:  # one number is faster without tensors
        u = (_mix_int((int(samples) * GOLDEN + base) & BITS) >> 12) * 2.0**-52
        return torch.full((1,), u, dtype=torch.float64, device=samples.device)
    z = _mix(samples * _signed(GOLDEN) + _signed(base))  # int64 wraps around, as intended
    return _right(z, 12).double() * 2.0**-52  # 52 bits: u * total stays below total


def _mix(z: Tensor) -> Tensor:
    for shift, factor in ROUNDS:
        z = (z ^ _right(z, shift)) * _signed(factor)
    return z ^ _right(z, 31)


def _right(z: Tensor, shift: int) -> Tensor:
    return (z >> shift) & ((1 << (64 - shift)) - 1)  # without sign extension


def _signed(x: int) -> int:
    return x - (1 << 64) if x >> 63 else x


def _mix_int(z: int) -> int:
    for shift, factor in ROUNDS:
        z = ((z ^ (z >> shift)) * factor) & BITS
    return z ^ (z >> 31)


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keeps the k largest of each row.

    >>> top_k(torch.tensor([[1.0, 3.0, 2.0]]), 2).tolist()
    [[-inf, 3.0, 2.0]]
    """
    least = logits.topk(min(k, logits.shape[-1])).values[..., -1:]
    return logits.masked_fill(logits < least, -math.inf)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keeps the fewest of each row whose probabilities sum to p; the best always stays.

    >>> top_p(torch.tensor([[0.5, 0.3, 0.2]]).log(), 0.6).exp().round(decimals=1).tolist()
    [[0.5, 0.30000001192092896, 0.0]]
    """
    ordered, order = logits.sort(descending=True, dim=-1)
    probability = ordered.softmax(dim=-1)
    before = probability.cumsum(dim=-1) - probability
    cut = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= p)
    return logits.masked_fill(cut, -math.inf)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Keeps those at least p times as probable as the best of their row.

    >>> min_p(torch.tensor([[0.6, 0.3, 0.1]]).log(), 0.4).exp().round(decimals=1)[0, 2].item()
    0.0
    """
    if p == 0:
        return logits
    least = logits.max(dim=-1, keepdim=True).values + math.log(p)
    return logits.masked_fill(logits < least, -math.inf)


def _refuse(name: str, found: float | str, expected: str) -> None:
    raise ConfigError(f"{name}: found {found}, expected {expected}")


def make_generator(seed: int | None) -> torch.Generator:
    """A generator on the CPU with this seed; None: a random one. Raises ConfigError out of range."""
    generator = torch.Generator("cpu")
    if seed is None:
        generator.seed()
    elif not 0 <= seed < 2**63:
        raise ConfigError(f"seed: found {seed}, expected 0 to 2^63 - 1")
    else:
        generator.manual_seed(seed)
    return generator


def draw_key(generator: torch.Generator) -> int:
    """A key for `uniforms`, the one number that keyed samples take from a generator."""
    return int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
