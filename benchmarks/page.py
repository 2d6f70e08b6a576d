"""The page of an export in a browser: how soon it writes, and how fast.

    python benchmarks/page.py RUN [RUN ...] [--dtype f16] [--times 5]

Exports each run and opens the file several times, each in a fresh browser without a window. By the
page's own clock: the milliseconds from the start of the navigation to the end of the first samples,
and the tokens per second of a thousand tokens, past the context, computed alone and as the page shows
them. Medians; beside them the tokens per second of `hornbook sample`. Prints a table, then one JSON
line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from hornbook.export.browser import browser, file_url, find_browser
from hornbook.export.html import READY
from hornbook.export.targets import export
from hornbook.run import Run

TOKENS = 1000
WRITE = f"""(async () => {{
  const request = {{ ids: [], n: 1, maxTokens: {TOKENS}, temperature: 1, topK: null, topP: null,
                     minP: null }};
  let [count, seconds] = [0, 0];
  for (let seed = 1; count < {TOKENS}; seed++) {{
    const began = performance.now();
    await hornbook.backend.generate({{ ...request, seed }}, (found) => (count += found.length));
    seconds += (performance.now() - began) / 1000;
  }}
  return count / seconds;
}})()"""
FIRST = "performance.getEntriesByName('first sample')[0].startTime"
SHOWN = """(async () => {
  for (const [id, value] of [["n", 1], ["maxTokens", 1000], ["seed", 1]])
    document.getElementById(`setting-${id}`).value = value;
  document.querySelectorAll("#page button")[4].click();
  const go = document.querySelector("button.main");
  const progress = document.getElementById("progress");
  go.click();
  while (document.querySelector("section[aria-busy]")) await new Promise((r) => setTimeout(r, 20));
  return Number(progress.textContent.match(/([0-9,]+) per second/)[1].replaceAll(",", ""));
})()"""


def measure(run: Run, path: Path, program: str, times: int) -> dict[str, float]:
    first, speed, shown = [], [], []
    for _ in range(times):
        with browser(program, ["--window-size=1280,900"]) as page:
            page.open(file_url(path))
            page.evaluate(READY)
            first.append(float(page.evaluate(FIRST)))
            speed.append(float(page.evaluate(WRITE)))
            shown.append(float(page.evaluate(SHOWN)))
    began, count = time.perf_counter(), 0
    while count < TOKENS:
        count += sum(len(piece) for piece in run.stream(max_tokens=TOKENS, seed=count))
    here = count / (time.perf_counter() - began)
    return {
        "bytes": path.stat().st_size,
        "first_ms": statistics.median(first),
        "per_second": statistics.median(speed),
        "shown_per_second": statistics.median(shown),
        "hornbook_per_second": here,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--dtype", default="f16")
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    program = find_browser()
    if program is None:
        raise SystemExit("page.py: needs a browser (apt install chromium)")
    results = {}
    print("| run | file | first samples | tokens/s | shown | hornbook |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.runs:
            run = Run.load(name)
            out = Path(folder) / f"{len(results)}.html"
            path = export(run, "html", out, dtype=args.dtype, verify=False).path
            found = results[name] = measure(run, path, program, args.times)
            print(
                f"| {run.path.name} | {found['bytes'] / 1e6:.2f} MB | {found['first_ms']:.0f} ms "
                f"| {found['per_second']:,.0f} | {found['shown_per_second']:,.0f} "
                f"| {found['hornbook_per_second']:,.0f} |"
            )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
