"""What pages of the site take from the code, and from other files of the repository."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="needs the extra docs")
pytest.importorskip("nbclient", reason="needs the extra docs")
ROOT = Path(__file__).parents[2]

from _site import pages
from sphinx.application import Sphinx

from hornbook.cli import VERBS
from hornbook.config.sections import SECTIONS
from hornbook.models.registry import MODELS


def test_every_verb_is_there_with_its_options() -> None:
    text = "\n".join(pages.verbs())
    for verb in VERBS:
        assert f"\n## hornbook {verb}\n" in text
    assert "{option} --min-p X\n" in text
    assert "{option} --split train|val|test\n" in text
    assert "%(" not in text


def test_every_setting_is_there_once() -> None:
    text = "\n".join([*pages.settings(), *pages.models()])
    for section, cls in SECTIONS.items():
        if section != "model":
            for name in cls.model_fields:
                assert text.count(f"{{confval}} {section}.{name}\n") == 1
    for model, entry in MODELS.items():
        assert f"## {model}\n" in text
        assert entry.source.partition(" ")[0] in text


def test_markup_is_escaped_outside_of_code_and_options_are_code() -> None:
    assert pages._escaped("a*b with --steps and `c*d`") == r"a\*b with `--steps` and `c*d`"


def test_links_of_a_file_lead_to_pages_where_there_are_some() -> None:
    text = pages.mirrored("README.md", "index.md")
    assert "](texts.md)" in text
    assert "](zh.md)" in text
    assert "](benchmarks.md)" in text
    assert "](index.md)" in pages.mirrored("README.zh.md", "zh.md")
    for name, page in pages.MIRRORED.items():
        assert (ROOT / name).exists()
        assert f"{{repository}} {name}\n" in (ROOT / "docs" / page).read_text("utf-8")


def test_pages_in_chinese_say_so() -> None:
    for page in ("zh", "lessons/zh/index", "lessons/index"):
        context = {"language": "en"}
        pages._say_language(Sphinx.__new__(Sphinx), page, "page.html", context, None)
        assert context["language"] == ("en" if page == "lessons/index" else "zh-CN"), page


def test_hyphens_stay_hyphens() -> None:
    """`hornbook sample` prints a line `---`, and its help says so."""
    settings = runpy.run_path(str(ROOT / "docs/conf.py"))
    assert "d" not in settings["smartquotes_action"].lower()
