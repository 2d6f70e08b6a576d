from __future__ import annotations

import numpy as np
import torch

from hornbook.export.lesson.notes_layers import ACTIVATIONS, normalize, product
from hornbook.layers.activations import ACTIVATIONS as TORCH
from hornbook.layers.basic import BatchNorm1d


def test_every_activation_is_there_and_that_of_torch() -> None:
    assert ACTIVATIONS.keys() == TORCH.keys()
    x = torch.linspace(-6, 6, 101)
    for name, build in TORCH.items():
        found = torch.from_numpy(ACTIVATIONS[name](x.numpy()))
        torch.testing.assert_close(found, build()(x), rtol=1e-5, atol=1e-6)


def test_batchnorm_uses_the_averages_of_training() -> None:
    norm, x = BatchNorm1d(3), torch.randn(8, 3)
    norm(torch.randn(50, 3) * 4 + 1)
    weights = {f"a.{name}": tensor.detach().numpy() for name, tensor in norm.state_dict().items()}
    found = torch.from_numpy(normalize(x.numpy(), weights, "a."))
    torch.testing.assert_close(found, norm.eval()(x).detach())


def test_a_product_may_have_no_bias() -> None:
    x, weight = np.ones((2, 3)), np.arange(6.0).reshape(3, 2)
    assert product(x, {"a.weight": weight}, "a.").tolist() == [[6, 9], [6, 9]]
    assert product(x, {"a.weight": weight, "a.bias": np.ones(2)}, "a.").tolist()[0] == [7, 10]
