"""Counts and a network as one: what it begins as, and that it becomes better."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hornbook.api import Run, resume, train
from hornbook.errors import ConfigError
from hornbook.figures.about import facts
from hornbook.metrics.loss import batch_loss, evaluate, token_nats
from hornbook.models.hybrid import Hybrid, fitted_trust
from hornbook.models.registry import build_model, model_config
from hornbook.training.callbacks.base import Callback
from tests.conftest import tiny_model
from tests.models.test_kneser_ney import as_part, sequences

SMALL = {
    "model": {
        "order": 5, "context_length": 32, "n_layer": 1, "n_head": 2, "n_embd": 16,
        "count_dropout": 0.0,
    },
    "training": {
        "batch_size": 8, "eval_count": 4, "sample_count": 0, "threads": 1,
        "examples": "sequences",
    },
}  # fmt: skip


def fresh(*, documents: bool, network: str = "gpt") -> Hybrid:
    sizes = {"order": 4, "context_length": 16, "n_layer": 1, "n_head": 2, "n_embd": 16}
    config = model_config({"name": "hybrid", "network": network, "dropout": 0.0, **sizes})
    model = build_model(config, 5, 0 if documents else None)
    assert isinstance(model, Hybrid)
    model.fit(*as_part(sequences(documents=documents)))
    return model


@pytest.mark.parametrize("network", ["gpt", "gpt2"])
@pytest.mark.parametrize("documents", [True, False])
def test_it_begins_as_the_counts(documents: bool, network: str) -> None:
    model = fresh(documents=documents, network=network)
    torch.manual_seed(0)
    ids, targets = torch.randint(5, (2, 3, 16))
    torch.testing.assert_close(model(ids).log_softmax(-1), model.counts(ids))
    left_out = model.counts.training_logits(ids, targets)
    torch.testing.assert_close(model.training_logits(ids, targets).log_softmax(-1), left_out)


def test_it_trusts_the_network_as_far_as_text_that_it_has_not_read_says() -> None:
    model = tiny_model("hybrid", 12)
    assert isinstance(model, Hybrid)
    assert model.trust is not None
    with torch.no_grad():  # a network that is certain, and wrong
        for parameter in model.network.output.parameters():
            parameter *= 30
    ids, targets = torch.randint(12, (2, 8, 16))
    targets[:, :4] = -1

    def loss() -> float:
        return batch_loss(model, ids, targets).item()

    before, row = loss(), model(ids)
    model.calibrate(list, lambda: [(ids, targets)])
    counts = torch.nn.functional.cross_entropy(
        model.counts.training_logits(ids, targets).flatten(0, 1), targets.flatten(), ignore_index=-1
    )
    assert loss() < min(before, counts.item() + 1e-3)
    torch.testing.assert_close(model(ids).exp().sum(-1), torch.ones(8, 16))
    with_it = model.train()(ids)
    assert not torch.allclose(with_it, row)  # it is no part of what is trained
    model.eval().calibrate(list)  # nothing is held back: as it was
    model.calibrate(list, lambda: [(ids, torch.full_like(targets, -1))])  # nor is this scored
    assert loss() < before


def test_a_mixture_is_fitted_as_a_search_finds_it() -> None:
    torch.manual_seed(0)
    features, log_both = torch.randn(4000, 3), torch.rand(4000, 2).log()
    features[:, 2] = 7.0  # says nothing
    good = torch.sigmoid(3 * features[:, 0] - 1) > torch.rand(4000)
    log_both[:, 0] = torch.where(good, -0.1, -3.0)
    log_both[:, 1] = -1.0

    def loss(w: torch.Tensor) -> float:
        s = torch.sigmoid(features @ w[:-1] + w[-1])
        return -(s * log_both[:, 0].exp() + (1 - s) * log_both[:, 1].exp()).log().mean().item()

    w = fitted_trust(features, log_both)
    assert w[2] == 0
    for i in (0, 1, 3):
        for step in (-3, 3):  # nearer, it is held back by SHRINKAGE
            moved = w.clone()
            moved[i] += step
            assert loss(moved) > loss(w) + 1e-3


def test_the_loss_that_is_trained_on_leaves_each_target_out() -> None:
    model = fresh(documents=False)
    tokens, _ = as_part(sequences(documents=False))
    ids, targets = tokens[None, :16], tokens[None, 1:17]
    plain = torch.nn.functional.cross_entropy(model(ids)[0], targets[0])
    assert batch_loss(model, ids, targets) > plain + 0.05


@pytest.mark.parametrize("documents", [True, False])
def test_rows_that_were_prepared_have_the_same_logits(documents: bool) -> None:
    model, other = fresh(documents=documents).train(), fresh(documents=documents).train()
    torch.manual_seed(0)
    ids, targets = torch.randint(5, (2, 12, 16))
    model.prepare(ids, targets)
    calls = []
    model.counts.log_probs = lambda *given: calls.append(given)  # type: ignore[assignment]
    for rows in (slice(4, 8), slice(0, 4), slice(4, 8)):
        found = model.training_logits(ids[rows], targets[rows])
        assert torch.equal(found, other.training_logits(ids[rows], targets[rows]))
    assert not calls
    with pytest.raises(TypeError):  # these are looked up
        model.training_logits(ids[:4], targets[4:8])
    assert len(calls) == 1


def test_few_batches_are_prepared_of_a_large_vocabulary() -> None:
    model = fresh(documents=True)
    assert model.steps_ahead(1024) == 8
    model.vocab_size = 1000
    assert model.steps_ahead(1024) == 2
    model.vocab_size = 50_000
    assert model.steps_ahead(1024) == 1


def test_the_loss_of_windows_is_that_of_their_last_position() -> None:
    model = fresh(documents=False)
    tokens, _ = as_part(sequences(documents=False))
    rows = tokens[:20].unfold(0, 17, 1)  # (4, 17)
    ids, targets = rows[:, :-1], rows[:, 1:]
    last = model.training_logits(ids, targets)[:, -1]
    torch.testing.assert_close(model.training_logits(ids, targets[:, -1]), last)


@pytest.mark.parametrize("end_id", [0, None])
@pytest.mark.parametrize("window", ["half", "sliding"])
def test_decoding_equals_forward_also_beyond_the_context(end_id: int | None, window: str) -> None:
    model = tiny_model("hybrid", 12, end_id)
    torch.manual_seed(1)
    ids = torch.randint(1, 12, (3, 40))
    n = model.context_length
    with torch.no_grad():
        logits, state = model.start(ids[:, :3], "half" if window == "half" else "sliding")
        for t in range(3, 40):
            read = ids[:, t - state.ids.shape[1] : t]
            torch.testing.assert_close(logits, model(read)[:, -1], atol=1e-4, rtol=1e-4)
            logits = model.step(ids[:, t], state)
    assert state.ids.shape[1] <= n


@pytest.mark.parametrize("end_id", [0, None])
def test_a_row_without_counts_is_predicted_by_the_network_alone(end_id: int | None) -> None:
    model = tiny_model("hybrid", 12, end_id)
    model.count_dropout = 1.0
    ids, targets = torch.randint(1, 12, (2, 4, 16))
    torch.testing.assert_close(model.train().training_logits(ids, targets), model.network(ids))
    kept = model.eval().training_logits(ids, targets)  # none is dropped but in training
    assert (kept - model.network(ids)).abs().max() > 0.1


def test_the_network_is_a_part_where_it_was_trained_as_one() -> None:
    model = fresh(documents=True)
    assert list(model.parts) == ["counts"]
    with pytest.raises(ConfigError, match="train one that is with"):
        model.part("network")
    with pytest.raises(ConfigError, match="found 'head' for the model hybrid: expected counts"):
        model.part("head")
    model.count_dropout = 0.1
    assert model.part("network") is model.network


def test_gradients_reach_every_parameter() -> None:
    model = tiny_model("hybrid", 12).train()
    ids, targets = torch.randint(1, 12, (2, 4, 16))
    batch_loss(model, ids, targets).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_a_network_that_cannot_be_built_is_refused_with_its_settings() -> None:
    with pytest.raises(ConfigError, match="n_head"):
        model_config({"name": "hybrid", "n_embd": 32, "n_head": 5})


class Stop(Callback):
    """Stops a run as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def post_step(self, step: int) -> None:
        if step + 1 == self.step:
            self.trainer.signals.append(2)


def text(folder: Path) -> Path:
    """A stream that counts alone predict badly: which of two words comes next was said long before."""
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(500):
        word = ["north", "south"][int(rng.integers(2))]
        way = "".join(rng.choice(list("abcdefgh"), 6))
        lines.append(f"{word} {way} {word}.")
    path = folder / "ways.txt"
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def hybrid_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("hybrid")
    return train(
        str(text(folder)), model="hybrid", steps=120, out=folder / "run", precision="fp32",
        settings={**SMALL, "data": {"kind": "stream"}},
    )  # fmt: skip


@pytest.fixture(scope="module")
def dropped_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same, trained without counts on a quarter of the rows."""
    folder = tmp_path_factory.mktemp("dropped")
    settings = {**SMALL, "data": {"kind": "stream"}}
    settings["model"] = {**SMALL["model"], "count_dropout": 0.25}
    return train(
        str(text(folder)), model="hybrid", steps=120, out=folder / "run", precision="fp32",
        settings=settings,
    )  # fmt: skip


def test_a_run_of_its_network_alone(dropped_run: Run) -> None:
    alone = dropped_run.with_part("network")
    own, counts = (dropped_run.report["parts"][name]["nats"] for name in ("network", "counts"))
    assert alone.evaluate().nats == pytest.approx(own, abs=1e-6)
    assert own < np.log(dropped_run.model.vocab_size) - 0.3  # it has learned something by itself
    assert dropped_run.report["validation"]["nats"] < min(own, counts)
    assert alone.config.model.name == "gpt"
    assert f"{own:.4f} nats" in repr(alone)
    assert alone.held_out_texts is None  # those of the report are of the whole
    said = dict(facts(alone))
    assert said["Loss"].startswith(f"validation {own:.4f}")
    assert said["Model"] == f"gpt, {alone.model.n_parameters:,} parameters"
    texts = [sample.text for sample in alone.sample(2, max_tokens=30, seed=1)]
    assert texts != [sample.text for sample in dropped_run.sample(2, max_tokens=30, seed=1)]


def test_trained_a_little_it_beats_the_counts_on_held_out_text(hybrid_run: Run) -> None:
    report = hybrid_run.report
    whole, counts = report["validation"]["nats"], report["parts"]["counts"]["nats"]
    assert whole < counts - 0.05
    assert evaluate(hybrid_run.model.parts["counts"], hybrid_run.part("val")).nats == counts
    assert hybrid_run.log[0]["val_loss"] == pytest.approx(counts, abs=1e-4)  # where it begins


def test_the_loss_on_the_training_part_is_as_if_it_had_not_been_counted(hybrid_run: Run) -> None:
    first = hybrid_run.log[0]
    assert abs(first["train_loss"] - first["val_loss"]) < 0.2
    nats = token_nats(hybrid_run.model.parts["counts"], hybrid_run.part("train"))
    assert nats.mean() < first["train_loss"] - 0.1


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_an_interrupted_run_ends_as_one_that_was_not(
    dropout: float, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    from hornbook.errors import HornbookError
    from hornbook.training.interrupts import Interrupted

    hybrid_run = request.getfixturevalue("dropped_run" if dropout else "hybrid_run")

    settings = {**SMALL, "data": {"kind": "stream"}}
    settings["model"] = {**SMALL["model"], "count_dropout": dropout}
    with pytest.raises((Interrupted, HornbookError, KeyboardInterrupt)):
        train(
            str(text(tmp_path)), model="hybrid", steps=120, out=tmp_path / "run", precision="fp32",
            settings=settings, callbacks=[Stop(50)],
        )  # fmt: skip
    resume(tmp_path / "run")
    run = Run.load(tmp_path / "run")
    for (name, a), b in zip(
        run.model.state_dict().items(), hybrid_run.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    assert run.report["validation"] == hybrid_run.report["validation"]
