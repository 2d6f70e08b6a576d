"""A small run of every model of the registry, on a text that is read in no time."""

from __future__ import annotations

import pytest

from hornbook.models.registry import MODELS
from hornbook.run import Run
from hornbook.training import train
from tests.conftest import TINY, WORDS


@pytest.fixture(scope="session", params=list(MODELS))
def small_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Four updates on a few words, probed."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "words.txt").write_text("\n".join(WORDS * 3), "utf-8")
    fields = MODELS[request.param].load(MODELS[request.param].config).model_fields
    sizes = {f"model.{field}": size for field, size in TINY.items() if field in fields}
    training = {
        "training.batch_size": 8, "training.evaluations": 2, "training.samplings": 0,
        "training.probe_every": 2,
    }  # fmt: skip
    return train(
        str(folder / "words.txt"), model=str(request.param), steps=4, out=folder / "run",
        precision="fp32", settings={**sizes, **training},
    )  # fmt: skip
