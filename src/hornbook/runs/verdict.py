"""What the report of a run says of its worth, line by line, and what to type next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hornbook.metrics.verdict import times
from hornbook.runs.commands import counts_command, mix_command
from hornbook.runs.directory import StoredRun

Rows = list[tuple[str, str]]


def verdict_text(report: Mapping[str, Any]) -> str:
    """The verdict in a sentence; of a report that an earlier version wrote, what it says of copying."""
    found = report.get("verdict") or report.get("novelty") or {}
    text: str = found.get("text") or found.get("verdict") or ""
    return text


def _loss(report: Mapping[str, Any], nats: float) -> str:
    """A loss on the validation part, in nats per token and bits per byte."""
    own = report.get("validation", {})
    if not own.get("nats") or own.get("bits_per_byte") is None:
        return f"{nats:.4f} nats per token"
    bits = nats * own["bits_per_byte"] / own["nats"]
    return f"{nats:.4f} nats per token, {bits:.4f} bits per byte,"


def verdict_rows(report: Mapping[str, Any]) -> Rows:
    """The best counts beside the loss, passes through the text, the verdict and what to do."""
    rows: Rows = []
    if counts := report.get("counts"):
        share = counts.get("share", 1.0)
        part = f", counted on {share:.2g} of the training part" if share < 1 else ""
        tried = len(counts.get("losses") or ()) or counts["order"]
        rows.append(
            (
                "counts",
                f"{_loss(report, counts['loss'])} by n-grams of order {counts['order']}, the best "
                f"of 1 to {tried}{part}",
            )
        )
    if mixture := report.get("mixture"):
        own, other = mixture["weights"]
        rows.append(
            (
                "mixture",
                f"{_loss(report, mixture['loss'])} by {own:g} of the model and {other:g} of the "
                "counts (weights fitted to one half of the validation part, measured on the other)",
            )
        )
    if report.get("passes") is not None:
        best = report.get("best_step", 0)
        kept = f" by step {best:,}, whose weights are kept" if best < report.get("steps", 0) else ""
        rows.append(("passes", f"{times(report['passes'])} through the training part{kept}"))
    rows.append(("verdict", verdict_text(report)))
    advice = (report.get("verdict") or {}).get("advice", [])
    rows += [("advice" if i == 0 else "", line) for i, line in enumerate(advice)]
    return rows


def verdict_commands(run: StoredRun, report: Mapping[str, Any]) -> list[str]:
    """What to type where a mixture or the counts are better than the model."""
    counts, mixture = report.get("counts"), report.get("mixture")
    if counts and mixture:
        return [mix_command(run.path, counts["order"], mixture["weights"])]
    if counts and (report.get("verdict") or {}).get("word") == "counts are better":
        return [counts_command(run.config, counts["order"])]
    return []
