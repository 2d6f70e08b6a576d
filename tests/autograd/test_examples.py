"""The examples and the benchmark run, and show what they say."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hornbook.autograd import Drawing, Value, compile

ROOT = Path(__file__).parents[2]


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem + "_script", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for it
    spec.loader.exec_module(module)
    return module


def test_the_neuron_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load("examples/autograd_neuron.py").main(str(tmp_path))
    svg = (tmp_path / "neuron.svg").read_text(encoding="utf-8")
    assert "x1*w1 + x2*w2" in svg
    assert "grad -1.5000" in svg
    assert "o = 0.7071" in capsys.readouterr().out


def test_the_notes_network_is_trained(capsys: pytest.CaptureFixture[str]) -> None:
    load("examples/autograd_mlp.py").main()
    lines = capsys.readouterr().out.splitlines()
    losses = [float(line.split()[-1]) for line in lines[:-2]]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.01


def test_the_moons_get_their_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moons = load("examples/autograd_moons.py")
    moons.POINTS, moons.WIDTH = 16, 10
    moons.main(str(tmp_path))
    assert (tmp_path / "moons.png").read_bytes().startswith(b"\x89PNG")
    accuracy = int(capsys.readouterr().out.split()[1].rstrip("%;"))
    assert accuracy >= 95


def test_the_compiled_loss_is_the_same_loss(capsys: pytest.CaptureFixture[str]) -> None:
    load("examples/autograd_compiled.py").main()
    out = capsys.readouterr().out
    assert "the same bits in every step: True" in out
    assert "def compiled(v0, v1, v2, tanh=tanh):" in out


def test_the_benchmarks_contenders_do_the_same_work() -> None:
    benchmark = load("benchmarks/autograd.py")
    result = benchmark.measure(dataclasses.replace(benchmark.NOTES, steps=3), rounds=1)
    assert result["compiled_losses_identical"]
    assert result["micrograd_losses_differ_by"] < 1e-9
    assert result["nodes"] > 300


def test_the_documentations_code_runs_and_its_words_are_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs/autograd.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(block, names)
    out = capsys.readouterr().out
    for expected in re.findall(r"print\(.*\)  # (.*)", text):
        for part in expected.split("..."):
            assert part.strip(" ,") in out
    picture = names["picture"]
    assert isinstance(picture, Drawing)
    assert picture.mermaid() in text
    w, b = Value(0.5), Value(-1.0)
    neuron = compile(lambda x: (w * x + b).tanh())
    neuron(2.0)
    (trace,) = neuron.traces.values()
    assert trace.source.rstrip() in text


def test_a_gpt_by_hand_predicts_as_torch_does_and_compiles_to_the_same_bits() -> None:
    """Its logits and its losses, against torch's own attention, RMSNorm and cross-entropy."""
    import torch
    from torch.nn import functional as F

    by_hand = load("examples/gpt_by_hand.py")
    by_hand.CONTEXT, by_hand.CHANNELS, by_hand.SIZE = 4, 8, 2
    ids = next(by_hand.blocks(1))
    assert ids[0] == 0
    assert len(ids) == 5
    gpt = by_hand.GPT(1)

    def tensor(rows: object) -> torch.Tensor:
        return torch.tensor([[value.data for value in row] for row in rows], dtype=torch.float64)

    def norm(x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, (8,), eps=1e-5)

    x = norm(tensor(gpt.tokens)[ids[:-1]] + tensor(gpt.positions))
    weights = {name: tensor(rows) for name, rows in gpt.blocks[0].items()}
    q, k, v = (
        (norm(x) @ weights[n].T).view(4, 4, 2).transpose(0, 1) for n in ("query", "key", "value")
    )
    heads = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(0, 1).flatten(1)
    x = x + heads @ weights["mix"].T
    x = x + (norm(x) @ weights["up"].T).relu() @ weights["down"].T
    logits = x @ tensor(gpt.head).T
    found = tensor(gpt.logits(gpt.embed(ids[:-1])))
    torch.testing.assert_close(found, logits)
    _, eager, _ = by_hand.train(2, 1, compiled=False)
    _, fast, _ = by_hand.train(2, 1)
    assert eager == fast
    assert eager[0] == pytest.approx(F.cross_entropy(logits, torch.tensor(ids[1:])).item())
    _, losses, _ = by_hand.train(60, 1)
    assert sum(losses[-10:]) / 10 < 3.0  # it starts at log 27 = 3.3
    assert len((ROOT / "examples/gpt_by_hand.py").read_text(encoding="utf-8").splitlines()) < 150
