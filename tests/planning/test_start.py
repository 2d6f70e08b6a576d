"""What a run begins from: taken over from a base, and refused where it contradicts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import hornbook
from hornbook.config import FinetuningConfig
from hornbook.errors import ConfigError
from hornbook.models.registry import MODELS
from hornbook.planning.describe import describe, facts
from hornbook.planning.plan import Plan
from tests.planning.texts import plan_of
from tests.training.helpers import SETTINGS, small

TRAINED = [name for name, entry in MODELS.items() if entry.trained and name != "ngram"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    parts = ["ba", "ko", "mi", "tu", "re", "la"]
    words = [a + b + c for a in parts for b in parts for c in parts]
    (folder / "old.txt").write_text("\n".join(words))
    (folder / "new.txt").write_text("\n".join(word[::-1] for word in words[:60]))
    (folder / "more.txt").write_text("\n".join(word[::-1] + "zé" for word in words[:60]))
    (folder / "prose.txt").write_text("take the bako, mitu and\n\nthe relabat; " * 90)
    return folder


@pytest.fixture(scope="module")
def base(texts: Path) -> hornbook.Run:
    return hornbook.train(texts / "old.txt", settings=SETTINGS, out=texts / "base", progress=False)


def plan_from(base: hornbook.Run, text: str, finetuning: dict[str, Any] | None = None,
              **settings: Any) -> Plan:  # fmt: skip
    requested = {"finetuning": {"base": str(base.path), **(finetuning or {})}, **settings}
    return plan_of(base.path.parent / text, requested)


def test_model_tokenizer_and_weights_are_those_of_the_base(base: hornbook.Run) -> None:
    plan = plan_from(base, "new.txt")
    own = plan.config.model.model_dump(exclude={"dropout"})
    assert own == base.config.model.model_dump(exclude={"dropout"})
    assert plan.data.tokenizer.fingerprint == base.tokenizer.fingerprint
    model = plan.build_model().eval()
    rows = torch.randint(1, 9, (2, 8))
    torch.testing.assert_close(model(rows), base.model(rows))


@pytest.mark.parametrize("name", TRAINED)
def test_every_trained_model_can_be_trained_further(name: str, texts: Path, tmp_path: Path) -> None:
    settings = small(name, steps=2, eval_count=1)
    first = hornbook.train(
        texts / "old.txt", model=name, settings=settings, out=tmp_path / "a", progress=False
    )
    second = hornbook.train(
        texts / "new.txt", base=first, out=tmp_path / "b", progress=False,
        settings={"training": settings["training"]},
    )  # fmt: skip
    own, of_base = (r.config.model.model_dump(exclude={"dropout"}) for r in (second, first))
    assert own == of_base
    assert second.report["old_text"]["name"] == "old"
    assert {"old_loss", "val_loss"} <= second.log[0].keys()
    assert second.evaluate("val").nats == pytest.approx(second.report["validation"]["nats"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": {"n_layer": 3}}, "model.n_layer: found 3, but the base"),
        ({"model": {"name": "mlp"}}, "model.name: found 'mlp', but the base"),
        ({"tokenizer": {"kind": "byte"}}, "tokenizer.kind: found 'byte', but that of the base"),
        ({"data": {"kind": "stream"}}, "--kind documents"),
    ],
)
def test_what_contradicts_the_base_is_refused(
    settings: dict[str, Any], message: str, base: hornbook.Run
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_from(base, "new.txt", **settings)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("finetuning", "message"),
    [
        ({"base": "nowhere"}, "nowhere: found nothing"),
        ({"lora_alpha": 3.0}, "lora_alpha: found it without a rank"),
        ({"grow": True, "unknown": "skip"}, "unknown: found skip beside grow"),
        ({"replay": 1.0}, "finetuning.replay: found 1.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    finetuning: dict[str, Any], message: str, base: hornbook.Run
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_from(base, "new.txt", finetuning)
    assert message in str(caught.value)


def test_settings_of_a_base_need_one() -> None:
    with pytest.raises(ConfigError, match=r"replay: found 0.5 without a base; give one \(--from\)"):
        FinetuningConfig.parse({"replay": 0.5}, "finetuning")


def test_dropout_may_differ(base: hornbook.Run) -> None:
    plan = plan_from(base, "new.txt", model={"dropout": 0.4})
    assert plan.config.model.model_dump()["dropout"] == 0.4


def test_a_context_may_be_shorter_where_positions_have_no_weights(base: hornbook.Run) -> None:
    context = base.config.model.model_dump()["context_length"]
    plan = plan_from(base, "new.txt", model={"context_length": context // 2})
    assert plan.shape.context_length == context // 2
    for other in (2 * context, 0, True):
        with pytest.raises(ConfigError, match="context_length"):
            plan_from(base, "new.txt", model={"context_length": other})


def test_unknown_characters_are_added_or_skipped(base: hornbook.Run) -> None:
    with pytest.raises(ConfigError, match="--grow"):
        plan_from(base, "more.txt")
    grown = plan_from(base, "more.txt", {"grow": True})
    assert grown.data.tokenizer.vocab_size == base.tokenizer.vocab_size + 2
    (note,) = [n for n in grown.notes if "new tokens" in n]
    assert "2 new tokens of the text, each begins as the mean" in note
    assert "costs old " in note
    skipped = plan_from(base, "more.txt", {"unknown": "skip"})
    assert skipped.data.tokenizer.vocab_size == base.tokenizer.vocab_size
    assert skipped.data.train.n_targets < grown.data.train.n_targets


def test_lora_trains_its_matrices_and_what_has_grown(base: hornbook.Run) -> None:
    plan = plan_from(base, "more.txt", {"grow": True, "lora_rank": 2})
    names = {n for n, p in plan.build_model().named_parameters() if p.requires_grad}
    assert {n for n in names if "lora" not in n} == {"token_embedding.weight", "head.weight"}
    found = facts(plan, plan.shape.n_parameters)
    assert found["trained_parameters"] < found["n_parameters"]
    assert any(what == "trained" and "rank 2" in how for what, how in describe(plan))


def test_lora_needs_blocks(texts: Path, tmp_path: Path) -> None:
    run = hornbook.train(
        texts / "old.txt", model="mlp", settings=small("mlp", steps=1), out=tmp_path / "mlp",
        progress=False,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="--lora: found a mlp, which has no blocks"):
        plan_of(texts / "new.txt", {"finetuning": {"base": str(run.path), "lora_rank": 2}})


def test_replay_mixes_rows_of_the_old_text_in(base: hornbook.Run) -> None:
    plan = plan_from(base, "new.txt", {"replay": 0.5}, training={"batch_size": 4})
    assert plan.start is not None
    assert plan.start.old is not None
    ids, targets = plan.build_batches().batch(0)
    assert ids.shape == targets.shape == (4, plan.shape.row_length)
    text = base.tokenizer.decode(ids[2:].flatten().numpy())
    assert any(word in text for word in ("bako", "koba", "mitu", "lare"))
    assert any("50% of each batch" in how for what, how in describe(plan) if what == "old text")


def test_a_text_that_is_gone_is_not_watched_and_cannot_be_replayed(
    texts: Path, tmp_path: Path
) -> None:
    text = tmp_path / "gone.txt"
    text.write_text((texts / "old.txt").read_text() + "\nbakobakobako")
    run = hornbook.train(text, settings=SETTINGS, out=tmp_path / "run", progress=False)
    text.unlink()
    (tmp_path / "new.txt").write_text((texts / "new.txt").read_text())
    plan = plan_from(run, "new.txt")
    assert plan.old_sample == []
    assert any("is not watched" in note for note in plan.notes)
    with pytest.raises(ConfigError, match="--replay: the text of the base cannot be used"):
        plan_from(run, "new.txt", {"replay": 0.5})


def test_a_directory_of_transformers_and_what_was_imported_are_bases_without_a_text(
    base: hornbook.Run, texts: Path, tmp_path: Path
) -> None:
    base.export("hf", tmp_path / "hf", verify=False)
    imported = hornbook.import_model(tmp_path / "hf", tmp_path / "imported")
    for path in (tmp_path / "hf", imported.path):
        plan = plan_of(texts / "new.txt", {"finetuning": {"base": str(path)}})
        assert plan.old_sample == []
        assert plan.config.optim.name == "adamw"
        rows = torch.randint(1, 9, (2, 8))
        torch.testing.assert_close(plan.build_model().eval()(rows), base.model(rows))
        with pytest.raises(ConfigError, match=r"--replay: .* has no text that could be replayed"):
            plan_of(texts / "new.txt", {"finetuning": {"base": str(path), "replay": 0.5}})
