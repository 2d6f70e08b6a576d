from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hornbook.api import Run
from hornbook.export.lesson import main
from hornbook.export.lesson.drawing import Sampling, key_of
from hornbook.export.lesson.text import read_tokenizer
from hornbook.export.targets import export
from tests.conftest import BPE_PROMPTS
from tests.export.lesson import common  # which registers the models


def texts(
    run: Run, folder: Path, prompt: str = "", stop: tuple[str, ...] = (), n: int = 3
) -> list[str]:
    model, tokenizer = main.load(folder)
    (start, first, skip), made = tokenizer.split(prompt), []
    for i in range(n):
        tokens = main.complete(model, start, i, key_of(5), Sampling(0.8), first)
        made.append(prompt + "".join(main.text_of(tokens, tokenizer, 90 + bool(first), stop, skip)))
    return made


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


def test_samples_of_subwords_are_those_of_the_run(bpe_run: Run, tmp_path: Path) -> None:
    export(bpe_run, "numpy", tmp_path / "out", verify=False)
    for prompt in BPE_PROMPTS:
        for stop in ((), ("an", "\n")):
            samples = bpe_run.sample(
                3,
                prompt=prompt,
                stop=stop,
                seed=5,
                max_tokens=90,
                temperature=0.8,
                sampling="keyed",
            )
            assert texts(bpe_run, tmp_path / "out", prompt, stop) == [s.text for s in samples]


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


@pytest.mark.parametrize(
    "options", [["-n", "0"], ["--top-p", "1.5"], ["--temperature", "nan"], ["--seed", "-1"]]
)
def test_a_number_out_of_range_is_refused(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sample.py", *options])
    with pytest.raises(SystemExit):
        main.main()
    assert "expected" in capsys.readouterr().err


def test_files_that_are_gone_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "__file__", str(tmp_path / "sample.py"))
    monkeypatch.setattr(sys, "argv", ["sample.py"])
    with pytest.raises(SystemExit, match=r"model\.safetensors"):
        main.main()


def test_a_piece_never_holds_half_a_character_or_part_of_a_stop_text(tmp_path: Path) -> None:
    path = common.saved_tokenizer(tmp_path, "byte", "", documents=True)
    tokenizer = read_tokenizer(path)
    tokens = tokenizer.encode("né stop 東")
    assert "".join(main.text_of(iter(tokens), tokenizer, 99, ["stop"])) == "né "
    pieces = list(main.text_of(iter(tokens), tokenizer, 99, []))
    assert "".join(pieces) == "né stop 東"
    assert "\ufffd" not in "".join(pieces)
    assert "".join(main.text_of(iter(tokens), tokenizer, 2, [])) == "n\ufffd"  # cut by the limit
    ended = [*tokens[:1], 256, *tokens[1:]]
    assert "".join(main.text_of(iter(ended), tokenizer, 99, [])) == "n"
