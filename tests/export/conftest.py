"""Runs for tests of exports, each made once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hornbook.api import Run
from tests.export.common import make_run

MakeRun = Callable[..., Run]


@pytest.fixture(scope="session")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """`common.make_run` by its arguments, the same run for the same ones."""
    made: dict[tuple[str, bool, str], Run] = {}

    def run(sizes: str, *, documents: bool, tokenizer: str = "char") -> Run:
        key = sizes, documents, tokenizer
        if key not in made:
            folder = tmp_path_factory.mktemp("export")
            made[key] = make_run(folder, sizes, documents=documents, tokenizer=tokenizer)
        return made[key]

    return run
