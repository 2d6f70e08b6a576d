"""The attention lesson: the versions are equal where they must be, and equal to PyTorch's."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.errors import ConfigError
from hornbook.layers.aggregation import (
    Head,
    MultiHeadAttention,
    attend,
    average_loop,
    average_matrix,
    average_softmax,
    causal_mask,
)
from hornbook.layers.attention import CausalAttention


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-12, rtol=0)


def test_the_notes_toy_example() -> None:
    b = torch.tensor([[[2.0, 7.0], [6.0, 4.0], [6.0, 5.0]]])
    c = torch.tensor([[[2.0, 7.0], [4.0, 5.5], [14 / 3, 16 / 3]]])
    torch.testing.assert_close(average_matrix(b), c)


def test_loop_matrix_and_softmax_are_one_average() -> None:
    x = randn(4, 8, 2)
    close(average_matrix(x), average_loop(x))
    close(average_softmax(x), average_loop(x))


def test_attention_that_cannot_choose_is_the_average() -> None:
    x = randn(4, 8, 6)
    q = torch.zeros(4, 8, 3, dtype=torch.float64)  # every score 0, whatever the keys
    close(attend(q, randn(4, 8, 3), x, causal_mask(8)), average_loop(x))


def test_version_4_is_the_fused_kernel() -> None:
    q, k, v = (randn(2, 3, 8, 4) for _ in range(3))  # (B, H, T, D)
    close(attend(q, k, v, causal_mask(8)), CausalAttention()(q, k, v, None))
    close(attend(q, k, v), F.scaled_dot_product_attention(q, k, v))


@pytest.mark.parametrize("causal", [True, False])
def test_a_head_is_the_fused_kernel_of_its_projections(causal: bool) -> None:
    x, head = randn(4, 8, 32), Head(32, 16, causal=causal).double()
    q, k, v = head.query(x), head.key(x), head.value(x)
    close(head(x), F.scaled_dot_product_attention(q, k, v, is_causal=causal))


@pytest.mark.parametrize("form", ["decoder", "encoder", "cross"])
def test_several_heads_are_those_of_torch(form: str) -> None:
    ours = MultiHeadAttention(12, 3, causal=form == "decoder").double()
    theirs = nn.MultiheadAttention(12, 3, batch_first=True).double()
    with torch.no_grad():
        parts = [torch.cat([getattr(h, part).weight for h in ours.heads])
                 for part in ("query", "key", "value")]  # fmt: skip
        theirs.in_proj_weight.copy_(torch.cat(parts))
        theirs.in_proj_bias.zero_()
        theirs.out_proj.weight.copy_(ours.proj.weight)
        theirs.out_proj.bias.copy_(ours.proj.bias)
    x = randn(2, 7, 12)
    source = randn(2, 5, 12) if form == "cross" else x
    mask = ~causal_mask(7) if form == "decoder" else None
    expected = theirs(x, source, source, attn_mask=mask, need_weights=False)[0]
    close(ours(x, source if form == "cross" else None), expected)


@pytest.mark.parametrize("n_head", [3, 0, 20])
def test_heads_that_do_not_share_out_the_channels_are_refused(n_head: int) -> None:
    with pytest.raises(ConfigError, match=rf"n_head: found {n_head}, expected a divisor"):
        MultiHeadAttention(10, n_head)


def test_cross_attention_to_itself_is_the_encoder_form() -> None:
    x, head = randn(2, 6, 8), Head(8, 4, causal=False).double()
    close(head(x, x), head(x))


def test_a_decoder_sees_nothing_later_and_an_encoder_does() -> None:
    x = randn(1, 6, 8)
    changed = x.clone()
    changed[:, 4:] += 1
    decoder, encoder = Head(8, 4).double(), Head(8, 4, causal=False).double()
    assert torch.equal(decoder(x)[:, :4], decoder(changed)[:, :4])
    assert (encoder(x)[:, :4] - encoder(changed)[:, :4]).abs().min() > 0
    # without positions an encoder does not see the order either
    order = torch.randperm(6)
    close(encoder(x[:, order]), encoder(x)[:, order])


def test_scaled_scores_keep_the_variance_of_one() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2000, 1, 256), torch.randn(2000, 1, 256)
    scores = (q @ k.transpose(-2, -1)).flatten()
    assert scores.var().item() == pytest.approx(256, rel=0.1)
    assert (scores / 256**0.5).var().item() == pytest.approx(1, rel=0.1)


def test_the_example_shows_why_scores_are_scaled() -> None:
    example = Path(__file__).parents[2] / "examples" / "attention_scaling.py"
    measure = runpy.run_path(str(example))["measure"]
    plain = {size: measure(size, scaled=False) for size in (4, 256)}
    scaled = {size: measure(size, scaled=True) for size in (4, 256)}
    variance, largest, entropy, gradient = plain[256]
    assert variance == pytest.approx(256, rel=0.1)
    assert largest > 0.95  # one place is copied
    assert gradient < scaled[256][3] / 10
    for size in (4, 256):  # scaled, the head size makes no difference
        assert scaled[size][0] == pytest.approx(1, abs=0.1)
        assert scaled[size][2] == pytest.approx(scaled[4][2], abs=0.1)
    assert entropy < 0.1 < 3.5 < scaled[256][2]
