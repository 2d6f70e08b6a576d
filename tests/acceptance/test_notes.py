"""What is pasted from the notes, with the names that hornbook has had from the beginning."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import hornbook
from hornbook.layers.basic import (
    BatchNorm1d,
    Embedding,
    FlattenConsecutive,
    Linear,
    Sequential,
    Tanh,
)
from hornbook.models import gpt, gpt2
from hornbook.models.registry import build_model, model_config
from tests.acceptance.common import Cap, trained, typed


def test_parameters_that_are_kept_are_trained() -> None:
    """The notes count the parameters, give them a gradient, and change them in a loop."""
    torch.manual_seed(42)
    x = torch.randint(0, 9, (64, 4))
    y = x.sum(1) % 9
    model = Sequential([
        Embedding(9, 6), FlattenConsecutive(4), Linear(24, 40), BatchNorm1d(40), Tanh(), Linear(40, 9),
    ])  # fmt: skip
    parameters = model.parameters()
    assert sum(p.nelement() for p in parameters) == 54 + 960 + 40 + 80 + 360 + 9
    losses = []
    for _ in range(60):
        loss = F.cross_entropy(model(x), y)
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            p.data -= 0.3 * p.grad  # type: ignore[operator]
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("module", [gpt, gpt2])
def test_a_block_takes_x_alone_and_block_size_is_named(module: object) -> None:
    config = getattr(module, "GPTConfig" if module is gpt else "GPT2Config")
    block = getattr(module, "Block")(config(n_embd=32, n_head=4))  # noqa: B009
    assert block.eval()(torch.randn(2, 5, 32)).shape == (2, 5, 32)
    with pytest.raises(ValueError, match=r"block_size.*context_length"):
        config(block_size=8)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m(torch.zeros(1, 2).long(), torch.zeros(1, 2).long()),
        lambda m: m.generate(torch.zeros(1, 1).long(), max_new_tokens=3),
    ],
)
def test_what_a_model_of_the_notes_has_besides_is_named(call: object) -> None:
    model = build_model(model_config({"name": "bigram"}), 12, None)
    with pytest.raises((TypeError, AttributeError), match=r"hornbook\.notes\.LessonModel"):
        call(model)  # type: ignore[operator]


def test_both_losses_are_shown_before_the_first_step_beside_the_baseline(
    words_file: Path, tmp_path: Path, capsys: Cap
) -> None:
    code, _, err = typed(
        capsys, "train", words_file, "--model", "bigram", "--steps", "2", "--out", tmp_path / "r"
    )
    assert code == 0
    (first,) = [line for line in err.splitlines() if line.startswith("step       0 /")]
    assert "train_loss" in first
    assert "val_loss" in first
    assert "uniform baseline: ln" in first


@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu", "elu", "selu", "gelu"])
def test_the_mlp_has_an_activation(
    activation: str, words_file: Path, tmp_path: Path, capsys: Cap
) -> None:
    trained(
        capsys, words_file, "--model", "mlp", "--model.activation", activation, "--steps", "30",
        "--out", tmp_path / "r",
    )  # fmt: skip
    log = hornbook.load(tmp_path / "r").log
    assert log[-1]["loss"] < log[1]["loss"]


def test_windows_past_the_context_are_named(stream_run: hornbook.Run, capsys: Cap) -> None:
    texts = []
    for window in ("sliding", "half"):
        code, out, err = typed(
            capsys,
            "sample",
            stream_run.path,
            "--window",
            window,
            "--max-tokens",
            "400",
            "--seed",
            "1",
        )
        assert code == 0, err
        texts.append(out)
    assert texts[0][:20] == texts[1][:20]
    assert texts[0] != texts[1]
