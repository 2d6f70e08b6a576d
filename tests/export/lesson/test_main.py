from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.export.lesson import main
from hornbook.export.lesson.drawing import Sampling, key_of
from hornbook.export.targets import export
from tests.export.lesson import common  # noqa: F401  # registers the models


def texts(
    run: Run, folder: Path, prompt: str = "", stop: tuple[str, ...] = (), n: int = 3
) -> list[str]:
    model, tokenizer = main.load(folder)
    return [
        main.complete(model, tokenizer, prompt, i, key_of(5), Sampling(0.8), 90, list(stop))
        for i in range(n)
    ]


def test_samples_are_those_of_the_run(names_run: Run, stream_run: Run, tmp_path: Path) -> None:
    for run, prompt, stop in (
        (names_run, "", ()),
        (names_run, "em", ("a", "ie")),
        (stream_run, "", ()),
        (stream_run, "1 green", ("bot", "wall")),
    ):
        folder = tmp_path / run.path.name
        export(run, "numpy", folder, verify=False, overwrite=True)
        samples = run.sample(
            3, prompt=prompt, stop=stop, seed=5, max_tokens=90, temperature=0.8, sampling="keyed"
        )
        assert texts(run, folder, prompt, stop) == [sample.text for sample in samples]


def test_the_program_prints_samples(
    names_run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    export(names_run, "numpy", tmp_path / "out", verify=False)
    monkeypatch.setattr(main, "__file__", str(tmp_path / "out" / "sample.py"))
    monkeypatch.setattr(
        sys, "argv", ["sample.py", "-n", "2", "--seed", "5", "--temperature", "0.8"]
    )
    main.main()
    assert capsys.readouterr().out == "\n".join(texts(names_run, tmp_path / "out", n=2)) + "\n"
