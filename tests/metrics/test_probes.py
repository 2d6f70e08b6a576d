"""Probes against the notes' statistics computed by hand, and that looking changes nothing."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from matplotlib.patches import StepPatch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from hornbook.api import Run, train
from hornbook.config import merge
from hornbook.figures import learning
from hornbook.figures.learning import _judge_ratios, histogram
from hornbook.figures.style import panels
from hornbook.files import dump, read_tensors
from hornbook.layers.attention import CausalAttention, attention_weights
from hornbook.metrics.novelty import Novelty, measure
from hornbook.metrics.probes import (
    ELEMENTS,
    OUTPUTS,
    WIDE,
    Probe,
    Spread,
    Units,
    judge,
    matrices,
    thin,
    units_from,
    watched,
)
from hornbook.models.base import LanguageModel
from hornbook.models.registry import MODELS, build_model, model_config, parse_run_config
from hornbook.training import probing
from hornbook.training.probing import Recorder
from tests.conftest import TINY_GPT, WORDS, tiny_model, train_small


def deep_mlp(init: str = "scaled", norm: str = "batchnorm") -> LanguageModel:
    """The notes' deep network: 5 hidden layers of 100 tanh, BatchNorm after every product."""
    settings = {"name": "mlp", "n_layer": 5, "n_hidden": 100, "norm": norm, "init": init}
    torch.manual_seed(3)
    return build_model(
        model_config({**settings, "norm_logits": norm != "none"}), vocab_size=27, end_id=0
    )


def by_hand(
    model: LanguageModel, ids: Tensor, targets: Tensor
) -> tuple[list[Tensor], list[Tensor], dict[str, Tensor]]:
    """The notes' loop over the same weights: tanh outputs, their gradients, parameter gradients."""
    w = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    x = w["net.layers.0.weight"][ids].flatten(1)
    tanhs, layer = [], 2
    while f"net.layers.{layer}.weight" in w:
        x = x @ w[f"net.layers.{layer}.weight"]
        gamma, beta = w[f"net.layers.{layer + 1}.gamma"], w[f"net.layers.{layer + 1}.beta"]
        x = gamma * (x - x.mean(0)) / torch.sqrt(x.var(0) + 1e-5) + beta
        layer += 2
        if f"net.layers.{layer + 1}.weight" in w:
            x = torch.tanh(x)
            x.retain_grad()
            tanhs.append(x)
            layer += 1
    F.cross_entropy(x, targets).backward()
    gradients = [t.grad for t in tanhs if t.grad is not None]
    return tanhs, gradients, {name: p.grad for name, p in w.items() if p.grad is not None}


def test_the_statistics_of_the_notes_deep_mlp_are_those_by_hand() -> None:
    model = deep_mlp().train()
    ids, targets = torch.randint(1, 27, (32, 3)), torch.randint(27, (32,))
    tanhs, gradients, grads = by_hand(model, ids, targets)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    rate = 0.1
    with Probe(model) as probe:
        F.cross_entropy(model.next_logits(ids), targets).backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
    assert len(tanhs) == len(probe.activations) == 5
    for t, g, units, spread in zip(
        tanhs, gradients, probe.activations.values(), probe.gradients.values(), strict=True
    ):
        assert units.spread.mean == pytest.approx(t.mean().item(), abs=1e-5)
        assert units.spread.std == pytest.approx(t.std().item(), rel=1e-4)
        assert units.saturated == pytest.approx((t.abs() > 0.97).float().mean().item(), abs=1e-3)
        assert spread.std == pytest.approx(g.std().item(), rel=1e-3)
        assert sum(units.spread.counts) == t.numel()
    names = [name for name, p in model.named_parameters() if p.ndim == 2]
    assert list(probe.parameters) == names
    for name in names:
        grad, seen = grads[name], probe.parameters[name]
        after = before[name] - rate * grad
        assert seen.grad_ratio == pytest.approx((grad.std() / after.std()).item(), rel=1e-3)
        update = ((rate * grad).std() / after.std()).log10().item()
        assert math.log10(seen.update_ratio) == pytest.approx(update, abs=2e-3)


@pytest.mark.parametrize(
    ("init", "norm", "good", "words"),
    [
        ("naive", "none", False, "outputs saturated at the first update: initialisation too large"),
        ("scaled", "none", True, "none saturated, asleep or dead"),
        ("scaled", "batchnorm", True, "none saturated, asleep or dead"),
    ],
)
def test_initialisations_are_judged_as_in_the_notes(
    init: str, norm: str, good: bool, words: str
) -> None:
    model = deep_mlp(init, norm).train()
    with Probe(model) as probe:
        model.next_logits(torch.randint(27, (256, 3)))
    verdict = judge(probe.activations, first=True)
    assert verdict.good is good
    assert words in verdict.text


def test_small_weights_put_a_tanh_to_sleep_and_a_relu_can_die() -> None:
    tanh = torch.nn.Tanh()
    verdict = judge({"a": Units.of(tanh, 0.01 * torch.randn(50, 8))}, first=True)
    assert "initialisation too small" in verdict.text
    output = torch.rand(50, 8)
    output[:, :3] = 0
    units = Units.of(torch.nn.ReLU(), output)
    assert units.dead == 3 / 8
    assert "38% of the relu units are dead" in judge({"a": units}, first=False).text


def test_every_model_is_watched_and_left_as_it_was(model_name: str) -> None:
    model = tiny_model(model_name)
    ids = torch.randint(12, (3, 8))
    expected = model(ids)
    hooks = [len(m._forward_hooks) for m in model.modules()]
    with Probe(model) as probe:
        logits = model(ids)
        if not model.fitted:
            logits.square().mean().backward()
    torch.testing.assert_close(logits, expected, atol=0, rtol=0)
    assert [len(m._forward_hooks) for m in model.modules()] == hooks
    assert set(probe.activations) == {name for name, _ in watched(model)}
    assert set(probe.parameters) == {name for name, _ in matrices(model)}


def test_a_probe_keeps_no_tensor_and_thins_what_is_large() -> None:
    large = torch.nn.Parameter(torch.randn(1100, 1000))
    assert len(thin(large)) <= ELEMENTS
    assert float(thin(large).std()) == pytest.approx(1.0, abs=0.02)
    model = deep_mlp().train()
    with Probe(model) as probe:
        model.next_logits(torch.randint(27, (4096, 3))).sum().backward()
    assert not probe._before
    assert len(repr(probe.record())) < 20_000


class NewStorage(TorchDispatchMode):
    """The largest tensor that is made, in elements; views make none."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        known = {a.untyped_storage().data_ptr() for a in args if isinstance(a, Tensor)}
        if isinstance(out, Tensor) and out.untyped_storage().data_ptr() not in known:
            self.largest = max(self.largest, out.numel())
        return out


def test_a_large_activation_is_not_copied_to_be_looked_at() -> None:
    relu = torch.nn.ReLU()
    output = torch.rand(512, 64, 256) + 0.01  # 8 million values
    output[..., :64] = 0
    with NewStorage() as made:
        units = Units.of(relu, output)
    assert made.largest <= OUTPUTS
    assert units.dead == 0.25
    assert units.saturated == pytest.approx(0.25, abs=1e-3)
    assert units.spread.mean == pytest.approx(output[:64].mean().item(), rel=0.01)


def test_gradients_are_counted_over_what_is_drawn() -> None:
    x = torch.randn(10_000)
    x[0] = 1000.0  # alone in the last of 50 bins over the whole range
    wide = Spread.of(x, WIDE)
    assert wide.high == pytest.approx(WIDE * wide.std)
    x[0] = 12.0
    spread = Spread.of(x, WIDE)
    assert sum(count > 0 for count in spread.counts) >= 35
    assert sum(spread.counts) >= 9_998


def test_a_bin_alone_is_drawn() -> None:
    _, (axes,) = panels([2.0])
    axes.set_yscale("log")
    counts = [0] * 50
    counts[10] = counts[30] = 4
    histogram(axes, Spread(0.0, 1.0, -1.0, 1.0, tuple(counts)), "black", "two")
    (steps,) = axes.patches
    assert isinstance(steps, StepPatch)
    heights = steps.get_data().values
    assert [i for i, h in enumerate(heights) if h > 0] == [10, 30]
    assert 0 < axes.get_ylim()[0] < heights[10]


def test_what_is_no_number_is_no_clean_bill() -> None:
    nothing = Units.of(torch.nn.Tanh(), torch.full((50, 8), math.nan))
    verdict = judge({"a": Units.of(torch.nn.Tanh(), torch.rand(50, 8)), "b": nothing}, first=False)
    assert not verdict.good
    assert verdict.text.startswith("layer 2: tanh outputs are no numbers after training")
    read = units_from(json.loads(dump(asdict(nothing))))  # NaN is null in a file
    assert not judge({"a": read}, first=True).good
    for wrong in (math.nan, None):
        found = [
            {"parameters": {"w": {"update_ratio": 1e-3}}},
            {"parameters": {"w": {"update_ratio": wrong}}},
        ]
        verdict = _judge_ratios(found, ["w"])  # type: ignore[arg-type]
        assert not verdict.good
        assert "w has values that are no numbers" in verdict.text


@pytest.mark.parametrize("n", [5, 9, 23])
def test_ratios_of_many_matrices_name_the_outliers_of_both_pictures(
    n: int, names_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ratio(i: int, step: int) -> dict[str, float | None]:
        update = {0: 1e-5, 1: 1e-1}.get(i, 1e-3) * (1 + i / 100)
        gradient = 1e2 / step if i == n - 1 else {2: 1e-7}.get(i, 1e-2) * (1 + i / 100)
        return {"update_ratio": update, "grad_ratio": gradient if step > 1 or i == n - 1 else 0.0}

    found = [
        {"step": step, "parameters": {f"m{i}.weight": ratio(i, step) for i in range(n)}}
        for step in range(1, 40)
    ]
    monkeypatch.setattr(learning, "records", lambda run, kind: found)
    figure = learning.ratios(names_run)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    words = [text.get_text() for text in legend.get_texts()]
    assert "1e-3, the aim" in words  # in no box that hides lines
    assert not any(text.get_bbox_patch() for text in figure.axes[0].texts)
    named = [word for word in words if word.startswith("m")]
    assert len(named) == n if n <= 9 else {"m0", "m1", "m2", f"m{n - 1}"} <= set(named)
    assert (f"{n - len(named)} others" in words) == (n > 9)
    for axes in figure.axes:  # told apart, and the same in both
        looks = {
            line.get_label(): (line.get_color(), line.get_linestyle()) for line in axes.get_lines()
        }
        assert len({looks[name] for name in named}) == len(named)
        if axes is figure.axes[0]:
            upper = {name: looks[name] for name in named}
        assert upper == {name: looks[name] for name in named}


def test_every_model_trains_the_same_with_and_without_probes(
    small_run: Run, tmp_path: Path
) -> None:
    if not MODELS[small_run.config.model.name].trained:
        pytest.skip("a mixture is not trained")
    (tmp_path / "words.txt").write_text("\n".join(WORDS * 3), "utf-8")
    plain = train_small(small_run.config.model.name, tmp_path, tmp_path / "run", probe_every=0)
    assert not (plain.path / "probes.jsonl").exists()
    probed = read_tensors(small_run.path / "model.safetensors")
    for name, tensor in read_tensors(plain.path / "model.safetensors").items():
        torch.testing.assert_close(probed[name], tensor, atol=0, rtol=0)
    assert [(r["loss"], r.get("val_loss")) for r in plain.log] == [
        (r["loss"], r.get("val_loss")) for r in small_run.log
    ]


def test_a_probed_run_gives_the_same_weights(tmp_path: Path) -> None:
    settings = {
        "model.n_layer": 1, "model.n_head": 2, "model.n_embd": 16, "model.dropout": 0.2,
        "model.context_length": 32, "training.batch_size": 4, "training.eval_count": 2,
    }  # fmt: skip
    (tmp_path / "words.txt").write_text("\n".join(WORDS * 12), "utf-8")
    weights = []
    for every in (0, 3):
        run = train(
            str(tmp_path / "words.txt"), model="gpt2", steps=8,
            out=tmp_path / str(every), precision="fp32",
            settings={**settings, "training.probe_every": every},
        )  # fmt: skip
        weights.append(read_tensors(run.path / "model.safetensors"))
        assert (run.path / "probes.jsonl").exists() == bool(every)
        losses = [{k: r[k] for k in ("step", "loss")} for r in run.log]
        weights[-1]["losses"] = torch.tensor([r["loss"] for r in losses])
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=0, rtol=0)
    assert (tmp_path / "3" / "probes.jsonl").stat().st_size < 50_000


def test_copies_are_those_of_the_weights_that_are_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def watched_measure(model: LanguageModel, *rest: Any) -> Novelty:
        seen.append(next(model.parameters()).detach().clone())
        return measure(model, *rest)

    monkeypatch.setattr(probing, "measure", watched_measure)
    run = train(
        "names", out=tmp_path / "run", precision="fp32",
        settings=merge(TINY_GPT, {
            "training": {"ema_decay": 0.9, "steps": 20, "eval_count": 1, "probe_every": 10}
        }),
    )  # fmt: skip
    kept = next(run.model.parameters())  # averaged, by the one evaluation
    assert len(seen) == 1
    torch.testing.assert_close(seen[0], kept.detach(), atol=0, rtol=0)


@pytest.mark.parametrize("steps", [1, 499, 500, 501, 998, 1000, 1001, 12_345])
def test_a_run_has_at_most_500_probes(names_run: Run, steps: int) -> None:
    config = merge(names_run.facts["config"], {"training": {"steps": steps, "probe_every": 1}})
    recorder = Recorder()
    plan = SimpleNamespace(config=parse_run_config(config), reference=None)
    recorder.planned(plan)  # type: ignore[arg-type]
    due = [step for step in range(steps) if recorder._probes(step)]
    assert min(steps, 250) <= len(due) <= 500
    assert due[0] == 0
    assert due[-1] == steps - 1


def test_attention_weights_are_those_of_the_fused_kernel() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 4, 7, 8), torch.randn(2, 2, 7, 8), torch.randn(2, 2, 7, 8)
    own = torch.ones(2, 1, 7, 7, dtype=torch.bool).tril()
    own[:, :, 4:, :4] = False  # two documents
    for mask in (None, own):
        expected = CausalAttention()(q, k, v, mask)
        weights = attention_weights(q, k, mask)
        torch.testing.assert_close(weights @ v.repeat_interleave(2, dim=1), expected)
