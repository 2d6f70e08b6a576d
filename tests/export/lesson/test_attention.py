from __future__ import annotations

import torch
from torch.nn import functional as F

from hornbook.export.lesson.attention import attend


def test_it_is_causal_attention_of_torch_with_shared_keys() -> None:
    q, k, v = torch.randn(5, 4, 8), torch.randn(5, 2, 8), torch.randn(5, 2, 8)
    expected = F.scaled_dot_product_attention(
        q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1), is_causal=True, enable_gqa=True
    )
    expected = expected.transpose(0, 1).flatten(1)
    found = attend(q.numpy(), k.numpy(), v.numpy())
    torch.testing.assert_close(torch.from_numpy(found), expected)
    last = attend(q[3:].numpy(), k.numpy(), v.numpy())
    torch.testing.assert_close(torch.from_numpy(last), expected[3:])
