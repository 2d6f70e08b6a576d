"""`hornbook compare`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import hornbook
from hornbook.api import Run
from hornbook.cli.main import main
from tests.conftest import strict


def test_infinite_losses_are_said_in_words_and_are_null_in_json(
    words_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counts without smoothing give new names no probability."""
    paths = []
    for name, fields in (
        ("none", {"order": 6, "smoothing": "add-k", "k": 0}),
        ("nothing", {"order": 7, "smoothing": "add-k", "k": 0}),
        ("some", {"order": 2}),
    ):
        settings = {f"model.{field}": value for field, value in fields.items()}
        hornbook.train(str(words_file), model="ngram", out=tmp_path / name, settings=settings)
        paths.append(str(tmp_path / name))
    capsys.readouterr()
    picture = tmp_path / "p.png"
    assert main(["compare", *paths, "--out", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "none has an infinite loss: it gives some of the validation text no probability" in out
    assert "significant" not in out
    assert "inf " not in out
    assert "nan" not in out
    assert main(["compare", *paths, "--json"]) == 0
    found = strict(capsys.readouterr().out)
    assert [row["validation"] for row in found["standings"][:2]] == [None, None]
    assert [pair["mean"] for pair in found["differences"]] == [None, None]
    (both,) = hornbook.compare(paths[:2]).differences
    assert "cannot be compared: both have an infinite loss" in both.sentence


def test_what_is_no_run_is_skipped_with_a_line(
    names_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(names_run.path, tmp_path / "copy")
    (tmp_path / "file.txt").write_text("")
    (tmp_path / "folder").mkdir()
    others = [str(tmp_path / "file.txt"), str(tmp_path / "folder")]
    assert main(["compare", str(names_run.path), *others, str(copy)]) == 0
    out, err = capsys.readouterr()
    assert "predict exactly alike" in out
    for line in (f"{others[0]}: skipped: a file", f"{others[1]}: skipped: no run in it"):
        assert line in err


def test_tables_for_papers_and_programs_are_alone_on_stdout(
    names_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hornbook.train("names", model="ngram", out=tmp_path / "counts", settings={"model.order": 2})
    paths = [str(names_run.path), str(tmp_path / "counts")]
    begins = {"csv": "setting,run,", "markdown": "| setting", "latex": "% needs \\usepackage"}
    for form, begin in begins.items():
        capsys.readouterr()
        assert main(["compare", *paths, "--format", form]) == 0
        captured = capsys.readouterr()
        assert captured.out.startswith(begin)
        assert "significant" not in captured.out
        assert "one seed" in captured.err
    for name, magic in (("c.pdf", b"%PDF"), ("c.png", b"\x89PNG"), ("c.svg", b"<?xml")):
        both = ["--out", str(tmp_path / name), "--curves", str(tmp_path / f"curves-{name}")]
        assert main(["compare", *paths, *both]) == 0
        assert (tmp_path / name).read_bytes().startswith(magic)
        assert (tmp_path / f"curves-{name}").read_bytes().startswith(magic)
    out = capsys.readouterr().out
    assert "settings that differ:\n  names: model.name gpt" in out
    assert main(["compare", *paths, "--out", str(tmp_path / "c.txt")]) == 2
    assert "expected a name that ends in .png, .svg, .pdf" in capsys.readouterr().err


def test_long_samples_are_cut_and_not_padded_to_the_longest() -> None:
    from hornbook.cli.compare import WIDTH, _shown

    assert _shown(["emma", "a" * 20, "b\n" * 300]) == ["emma", "a" * 20, r"b\n" * 10 + "..."]
    assert sum(map(len, _shown(["c" * 999] * 5))) == WIDTH
    assert _shown([]) == []
