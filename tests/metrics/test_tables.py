"""Tables as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io

import numpy as np

from hornbook.metrics.groups import grouped
from hornbook.metrics.tables import as_csv, as_latex, as_markdown, group_rows, run_rows
from tests.metrics.made import made

GROUPS = grouped(
    [
        made(f"{name}{seed}", np.arange(20.0) + n_layer + seed, seed, f"runs/{name}/{seed}",
             {"model.n_layer": n_layer})
        for name, n_layer in (("a_b", 2), ("c|d", 1))
        for seed in (1, 2)
    ]
)  # fmt: skip


def test_groups_are_rows_best_first_with_the_settings_that_differ() -> None:
    header, best, worst = group_rows(GROUPS)
    assert header[:3] == ["setting", "seeds", "n_layer"]
    assert best[:3] == ["c|d", "1 2", "1"]
    assert worst[:3] == ["a_b", "1 2", "2"]
    assert best[header.index("sd of seeds")] == "0.7071"
    assert "test" not in header  # nothing is known of it


def test_csv_has_every_run_in_full() -> None:
    header, *rows = list(csv.reader(io.StringIO(as_csv(run_rows(GROUPS)))))
    assert [row[:3] for row in rows] == [
        ["c|d", "c|d1", "1"], ["c|d", "c|d2", "1"], ["a_b", "a_b1", "2"], ["a_b", "a_b2", "2"],
    ]  # fmt: skip
    first = dict(zip(header, rows[0], strict=True))
    assert float(first["validation"]) == GROUPS[1].runs[0].result.validation
    assert first["test"] == ""


def test_markdown_and_latex_escape_their_signs() -> None:
    rows = group_rows(GROUPS)
    markdown = as_markdown(rows).splitlines()
    assert len(markdown) == 4
    assert set(markdown[1]) <= set("| -:")
    assert "c\\|d" in markdown[2]
    assert len({line.count("|") - line.count("\\|") for line in markdown}) == 1
    latex = as_latex(rows)
    assert r"a\_b & 1 2 & 2" in latex
    assert r"90\%" in latex
    assert r"$\pm$" in latex
    assert latex.count(r" \\") == 3
    columns = latex.split("tabular}{")[1].split("}")[0]
    assert len(columns) == len(rows[0])
