"""Rotary positions: pairs of channels turned by angles, so that only distances matter."""

from __future__ import annotations

import torch

from hornbook.layers.rotary import Rotation, rotary_angles


def test_a_rotation_is_the_product_of_complex_numbers() -> None:
    x = torch.randn(2, 3, 5, 8, dtype=torch.float64)
    cos, sin = (a.double() for a in rotary_angles(torch.arange(5), 8, 100.0))
    turned = Rotation()(x, cos, sin)
    frequency = 100.0 ** -(torch.arange(4, dtype=torch.float64) / 4)
    angle = torch.arange(5)[:, None] * frequency
    turn = torch.polar(torch.ones_like(angle), angle)
    expected = torch.complex(x[..., :4], x[..., 4:]) * turn
    torch.testing.assert_close(
        turned, torch.cat([expected.real, expected.imag], -1), atol=1e-6, rtol=0
    )


def test_products_of_queries_and_keys_depend_on_distances_alone() -> None:
    q, k = torch.randn(2, 1, 1, 6, 8, dtype=torch.float64)
    products = []
    for first in (0, 17):
        cos, sin = rotary_angles(torch.arange(first, first + 6), 8, 10_000.0)
        turn = Rotation()
        products.append(turn(q, cos, sin) @ turn(k, cos, sin).mT)
    torch.testing.assert_close(*products, atol=1e-5, rtol=0)
