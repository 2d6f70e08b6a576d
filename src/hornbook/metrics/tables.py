"""Tables of results, and the same tables as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from hornbook.metrics.groups import short_name, value_words
from hornbook.metrics.results import Group, format_loss, rank

Format = Literal["csv", "markdown", "latex"]
FORMATS: tuple[str, ...] = get_args(Format)
MOST_SETTINGS = 6  # that are columns of a table

Rows = list[list[str]]


def setting_names(groups: Sequence[Group]) -> list[str]:
    """The settings that differ between groups, by dotted name."""
    return list(dict.fromkeys(name for group in groups for name in group.settings))


def group_rows(groups: Sequence[Group]) -> Rows:
    """A table of groups, best first, the header before them: means over the runs of each.

    The standard error after a loss is over documents and seeds; the standard deviation is that of the
    validation loss between seeds. Settings that differ are columns, unless there are too many; a
    column in which nothing is known is left out.
    """
    names = setting_names(groups)
    names = names if len(names) <= MOST_SETTINGS else []
    header = [
        "setting",
        "seeds",
        *(short_name(name) for name in names),
        "parameters",
        "seconds",
    ]
    header += ["tokens", "validation", "sd of seeds", "unseen", "test", "bits/byte", "new"]
    header = ["model" if name == "name" else name for name in header]
    rows = []
    for group in sorted(groups, key=lambda group: rank(group.result)):
        r = group.result
        rows.append(
            [
                group.name,
                " ".join(map(str, group.seeds)) or "-",
                *(value_words(group.settings.get(name, "-")) for name in names),
                f"{r.parameters:,}",
                f"{r.seconds:.1f}",
                f"{r.tokens:,}",
                format_loss(r.validation, r.validation_error),
                format_loss(group.deviation),
                format_loss(r.unseen),
                format_loss(r.test, r.test_error),
                format_loss(r.bits_per_byte),
                f"{r.new:.0%}",
            ]
        )
    known = [i for i in range(len(header)) if i == 0 or any(row[i] != "-" for row in rows)]
    return [[row[i] for i in known] for row in (header, *rows)]


def run_rows(groups: Sequence[Group]) -> Rows:
    """A table of runs for a program, one a row and the best group first: plain numbers, in full; what
    there is not is empty. A column for each setting that differs."""
    names = setting_names(groups)
    fields = (
        "model", "seed", "finished", "parameters", "seconds", "tokens", "validation",
        "validation_error", "unseen", "test", "test_error", "bits_per_byte", "unseen_bits", "test_bits",
        "new", "path",
    )  # fmt: skip
    rows = [["setting", "run", *names, *fields]]
    for group in sorted(groups, key=lambda group: rank(group.result)):
        for m in (*group.runs, *group.repeats):
            values = [group.settings.get(name) for name in names]
            values += [getattr(m.result, field) for field in fields]
            words = ["" if value is None else str(value) for value in values]
            rows.append([group.name, m.result.name, *words])
    return rows


def as_csv(rows: Rows) -> str:
    """A table as CSV, as RFC 4180 has it but for line ends."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def as_markdown(rows: Rows) -> str:
    """A table in GitHub's Markdown; columns of numbers to the right."""
    escaped = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*escaped, strict=True)]
    rule = ["-" * max(3, width) for width in widths]
    rule = [rule[0], *(line[:-1] + ":" for line in rule[1:])]
    lines = [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (escaped[0], rule, *escaped[1:])
    ]
    return "\n".join(lines) + "\n"


LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
    | {"±": r"$\pm$", "<": r"\textless{}", ">": r"\textgreater{}"}
)


def as_latex(rows: Rows) -> str:
    """A table as a LaTeX tabular; it needs the package booktabs."""
    header, *body = [" & ".join(cell.translate(LATEX) for cell in row) + r" \\" for row in rows]
    lines = [
        "% needs \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{l{'r' * (len(rows[0]) - 1)}}}",
        *(r"\toprule", header, r"\midrule", *body, r"\bottomrule"),
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


WRITERS: dict[str, Callable[[Rows], str]] = {
    "csv": as_csv,
    "markdown": as_markdown,
    "latex": as_latex,
}
