"""Time budgets: what more minutes buy, and whether a run ends in time.

    HORNBOOK_DATA=... python benchmarks/minutes.py [CORPUS ...] [--minutes 0.5 1 2] [--device cuda]

Each corpus is trained as by `hornbook train CORPUS --minutes M`, once for each M. `spent`: minutes from
the call to the report. Prints a table, whether a longer run was ever worse than a shorter one, then one
JSON line.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from hornbook.api import train
from hornbook.planning.decide.size import SIZES


def trained(corpus: str, minutes: float, device: str) -> dict[str, Any]:
    """One run."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        run = train(corpus, out=Path(folder) / "run", minutes=minutes, device=device)
        spent = time.perf_counter() - begin
        model, report = run.facts["config"]["model"], run.report
    of_kind = SIZES[run.facts["corpus"]["kind"]]
    sizes = {(s.n_layer, s.n_embd): name for name, s in of_kind.items()}
    return {
        "corpus": corpus,
        "minutes": minutes,
        "spent": round(spent / 60, 3),
        "size": sizes.get((model["n_layer"], model["n_embd"]), "other"),
        "steps": report["steps"],
        "dropout": model["dropout"],
        "val_loss": round(report["validation"]["nats"], 4),
    }


def main() -> None:
    """Measures the corpora that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="*", default=["makemore-names", "shakespeare"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[0.25, 0.5, 1, 2, 4])
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    rows, worse = [], []
    for corpus in arguments.corpora:
        losses: list[float] = []
        for minutes in sorted(arguments.minutes):
            row = trained(corpus, minutes, arguments.device)
            if losses and row["val_loss"] > min(losses):
                worse.append(f"{corpus} {minutes:g}")
            losses.append(row["val_loss"])
            rows.append(row)
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    print("a longer run was worse: " + (", ".join(worse) or "never"))
    print(json.dumps({"benchmark": "minutes", "rows": rows, "worse": worse}))


if __name__ == "__main__":
    main()
