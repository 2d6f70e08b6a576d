from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from hornbook.export.lesson import arithmetic
from hornbook.export.lesson.weights import Array

X = torch.cat([torch.randn(20, 6) * 3, torch.full((1, 6), 80.0), torch.full((1, 6), -80.0)])
WEIGHT, BIAS = torch.randn(6), torch.randn(6)


def same(found: Array, expected: torch.Tensor) -> None:
    assert found.dtype == np.float32
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-5, atol=2e-6)


def test_each_function_is_that_of_torch() -> None:
    x, weight, bias = X.numpy(), WEIGHT.numpy(), BIAS.numpy()
    matrix = torch.randn(4, 6)
    same(arithmetic.linear(x, matrix.numpy(), bias[:4]), F.linear(X, matrix, BIAS[:4]))
    same(arithmetic.softmax(x), X.softmax(-1))
    same(arithmetic.log_softmax(x), X.log_softmax(-1))
    same(arithmetic.sigmoid(x), X.sigmoid())
    same(arithmetic.layer_norm(x, weight, bias), F.layer_norm(X, (6,), WEIGHT, BIAS))
    same(arithmetic.rms_norm(x, weight, 1e-6), F.rms_norm(X, (6,), WEIGHT, 1e-6))
    same(arithmetic.gelu(x), F.gelu(X))
    same(arithmetic.gelu_tanh(x), F.gelu(X, approximate="tanh"))
