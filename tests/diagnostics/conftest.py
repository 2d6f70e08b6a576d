"""A small run of every model of the registry, on a text that is read in no time."""

from __future__ import annotations

from pathlib import Path

import pytest

from hornbook.mixing import mix
from hornbook.models.registry import MODELS
from hornbook.run import Run
from hornbook.training import train
from tests.conftest import TINY, WORDS


@pytest.fixture(scope="session", params=list(MODELS))
def small_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Four updates on a few words, probed."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "words.txt").write_text("\n".join(WORDS * 3), "utf-8")
    if not MODELS[request.param].trained:
        parts = [small(name, folder, folder / name) for name in ("mlp", "gpt")]
        return mix(parts, folder / "run")
    return small(str(request.param), folder, folder / "run")


def small(model: str, folder: Path, out: Path, probe_every: int = 2) -> Run:
    """A run of a small model."""
    fields = MODELS[model].load(MODELS[model].config).model_fields
    sizes = {f"model.{field}": size for field, size in TINY.items() if field in fields}
    training = {
        "training.batch_size": 8, "training.evaluations": 2, "training.samplings": 0,
        "training.probe_every": probe_every,
    }  # fmt: skip
    return train(
        str(folder / "words.txt"), model=model, steps=4, out=out, precision="fp32",
        settings={**sizes, **training},
    )  # fmt: skip
