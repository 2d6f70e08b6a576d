from __future__ import annotations

import pytest
import torch

from hornbook.export.onnx_forms import FORMS, cummax, install, searchsorted
from hornbook.models.base import DecodingState
from tests.conftest import tiny_model


@torch.no_grad()
@pytest.mark.parametrize("end_id", [0, None])
def test_the_forms_are_the_model(model_name: str, end_id: int | None) -> None:
    model = tiny_model(model_name, end_id=end_id)
    form = install(model)
    for length in (1, 2, 16):
        ids = torch.randint(0, 12, (3, length))
        torch.testing.assert_close(form.forward(ids), model.forward(ids))


def test_the_model_itself_is_left_alone(model_name: str) -> None:
    model = tiny_model(model_name)
    before = [type(module) for module in model.modules()]
    names = [name for name, _ in model.named_buffers()]
    form = install(model)
    assert [type(module) for module in model.modules()] == before
    assert [name for name, _ in model.named_buffers()] == names
    assert not any(type(module) in FORMS for module in form.modules())
    for ours, theirs in zip(model.parameters(), form.parameters(), strict=True):
        assert ours.data_ptr() == theirs.data_ptr()


def test_a_cumulative_maximum() -> None:
    x = torch.randint(0, 9, (4, 17))
    assert torch.equal(cummax(x, -1)[0], x.cummax(-1).values)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 100])
def test_a_search_in_a_sorted_table(n: int) -> None:
    table = torch.randint(0, 50, (n,)).unique()
    wanted = torch.arange(-3, 55).view(2, -1)
    assert torch.equal(searchsorted(table, wanted), torch.searchsorted(table, wanted))


@torch.no_grad()
@pytest.mark.parametrize("end_id", [0, None])
def test_the_queues_of_a_wavenet_are_its_rings(end_id: int | None) -> None:
    model = tiny_model("wavenet", end_id=end_id)
    form, ids = install(model), torch.randint(1, 12, (2, 40))
    logits, state = model.start(ids[:, :1])
    widths = [part.shape[1:] for part in state.cache]
    queues = DecodingState(ids[:, :0], [torch.zeros(2, *width) for width in widths])
    torch.testing.assert_close(form.step(ids[:, 0], queues), logits)
    for column in ids.unbind(1)[1:]:
        torch.testing.assert_close(form.step(column, queues), model.step(column, state))
