"""`make` is not silent while it installs for minutes."""

from __future__ import annotations

from pathlib import Path

MAKEFILE = (Path(__file__).parent.parent / "Makefile").read_text("utf-8")


def test_what_is_installed_is_announced_and_pip_shows_its_progress() -> None:
    assert "--quiet" not in MAKEFILE
    recipes = MAKEFILE.split("\n\n")
    installing = [r for r in recipes if "\t$(PIP)" in r and r.splitlines()[-1] == "\ttouch $@"]
    assert len(installing) == 2
    for recipe in installing:
        assert recipe.index("@echo") < recipe.index("$(PIP)")
