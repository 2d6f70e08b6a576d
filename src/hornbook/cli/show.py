"""`hornbook show RUN ...`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hornbook.cli.common import (
    Parser,
    loss_text,
    note,
    old_text_rows,
    part_rows,
    print_json,
)
from hornbook.errors import RunError, counted
from hornbook.runs.commands import resume_command
from hornbook.table import table
from hornbook.visible import visible

if TYPE_CHECKING:
    from hornbook.run import Run


def run(arguments: list[str]) -> int:
    """Prints what runs are, their figures and their loss curves; what is no run is left out."""
    parser = Parser("show")
    parser.add_argument("paths", metavar="RUN", nargs="+", help="a run directory, or several")
    parser.add_argument("--json", action="store_true", help="settings and report as JSON")
    args = parser.parse_args(arguments)

    from hornbook.run import Run

    shown = 0
    for path in args.paths:
        try:
            loaded = Run.load(path)
        except RunError as error:
            if len(args.paths) == 1:
                raise
            note(f"left out: {error}")
            continue
        if shown and not args.json:
            print()
        shown += 1
        if args.json:
            print_json({"facts": loaded.facts, "report": loaded.report})
        else:
            _show(loaded)
    if not shown:
        raise RunError(f"found no run among {counted(len(args.paths), 'path')}")
    return 0


def _show(loaded: Run) -> None:
    from hornbook.runs.verdict import verdict_rows

    facts, report, log = loaded.facts, loaded.report, loaded.log
    corpus, hardware = facts["corpus"], facts["hardware"]
    settings = loaded.config.model.model_dump(exclude={"name"}, exclude_none=True)
    part = "validation" if loaded.config.data.held_out else "training text"
    kept = "probabilities" if loaded.model.fitted else "parameters"
    rows = [
        ("run", str(loaded.path)),
        ("model", f"{loaded.config.model.name}, {facts['n_parameters']:,} {kept}"),
        ("settings", ", ".join(f"{name} {value}" for name, value in settings.items())),
    ]
    if imported := facts.get("imported"):
        rows += [
            ("imported", f"{facts['created']} from {imported['source']} ({imported['form']})"),
            ("weights", f"sha256 {imported['sha256'][:12]}..."),
        ]
        report = {}
    else:
        rows += [
            ("corpus", f"{corpus['source']}: {corpus['kind']}, sha256 {corpus['sha256'][:12]}..."),
            ("trained", f"{facts['created']} on {hardware['device']}, {hardware['precision']}"),
        ]
    if base := facts.get("base"):
        rows.insert(
            4, ("base", f"{base['source']}: {base['model']}, sha256 {base['sha256'][:12]}...")
        )
    if (trained := facts.get("trained_parameters")) is not None:
        rank = loaded.config.finetuning.lora_rank
        rows.insert(5, ("adapter", f"LoRA of rank {rank}, {trained:,} trained parameters"))
    if report:
        validation = report["validation"]
        steps = f"{report['steps']:,}, {report['seconds']:.1f} s, best {report['best_step']}"
        unknown = "not recorded by the version that trained it"
        rows += [
            ("steps", steps),
            (part, loss_text(validation)),
            *part_rows(report),
            *old_text_rows(report),
            ("repeatable", report.get("determinism") or unknown),
            *verdict_rows(report),
            ("samples", "  ".join(visible(s)[:60] for s in report["samples"][:8])),
        ]
    elif log:
        rows.append(("steps", f"{log[-1]['step']:,}: not finished; {resume_command(loaded.path)}"))
    print(table([(name, visible(row)) for name, row in rows if row]))
    if curve := plot(log, legend=f". training  o {part}"):
        print("\n" + curve)


def plot(
    log: list[dict[str, Any]],
    width: int = 64,
    height: int = 12,
    *,
    legend: str,
    ends: tuple[str, str] | None = None,
) -> str:
    """The training (.) and validation (o) losses over the steps, as text, under a legend.

    ends: the labels of the two ends of the axis, by default steps.
    """
    points = [(r["step"], r["loss"], ".") for r in log if r.get("loss") is not None]
    points += [(r["step"], r["val_loss"], "o") for r in log if "val_loss" in r]
    points = [(x, y, mark) for x, y, mark in points if y is not None and math.isfinite(y)]
    if len({x for x, _, _ in points}) < 2:
        return ""
    last = max(x for x, _, _ in points)
    low, high = min(y for _, y, _ in points), max(y for _, y, _ in points)
    grid = [[" "] * width for _ in range(height)]
    for x, y, mark in points:
        column = min(width - 1, round(x / last * (width - 1)))
        row = round((high - y) / max(high - low, 1e-9) * (height - 1))
        if grid[row][column] != "o":
            grid[row][column] = mark
    labels = {0: f"{high:.3f}", height - 1: f"{low:.3f}"}
    lines = [f"{labels.get(i, ''):>8} |{''.join(row).rstrip()}" for i, row in enumerate(grid)]
    left, right = ends or ("0", counted(last, "step"))
    axis = f"{'':>8} +{'-' * width}\n{'':>9} {left}{right:>{width - len(left)}}"
    return "\n".join([f"{'nats':>8}  {legend}", *lines, axis])
