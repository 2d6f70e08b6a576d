"""The page of an export in a browser: how soon it writes, and how fast.

    python benchmarks/page.py RUN [RUN ...] [--dtype f16] [--times 5]

Exports each run and opens the file several times, each in a fresh browser without a window. By the
page's own clock: the milliseconds from the start of the navigation to the end of the first samples,
and the tokens per second of a thousand tokens, past the context, computed alone and as the page shows
them; beside them those of `hornbook sample`. Medians; in brackets by the processor's time, that of
the page's thread, which a busy machine changes less. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from hornbook.export.browser import Page, browser, file_url, find_browser
from hornbook.export.html import READY
from hornbook.export.targets import export
from hornbook.run import Run

TOKENS = 1000
WRITE = f"""(async () => {{
  const began = performance.now();
  let count = 0;
  for (let seed = 1; count < {TOKENS}; seed++) {{
    const request = {{ ids: [], maxTokens: {TOKENS} - count, seed }};
    await hornbook.backend.generate(request, (found) => (count += found.length));
  }}
  return (1000 * count) / (performance.now() - began);
}})()"""
FIRST = "performance.getEntriesByName('first sample')[0].startTime"
SHOWN = """(async () => {
  for (const [id, value] of [["n", 1], ["maxTokens", 1000], ["seed", 1]])
    document.getElementById(`setting-${id}`).value = value;
  document.querySelectorAll("#page button")[4].click();
  const progress = document.getElementById("progress");
  document.querySelector("button.main").click();
  while (document.querySelector("section[aria-busy]")) await new Promise((r) => setTimeout(r, 20));
  return Number(progress.textContent.match(/([0-9,]+) per second/)[1].replaceAll(",", ""));
})()"""


def measure(run: Run, path: Path, program: str, times: int) -> dict[str, float]:
    """Medians by name."""
    found: dict[str, list[float]] = {}

    def note(**values: float) -> None:
        for name, value in values.items():
            found.setdefault(name, []).append(value)

    for _ in range(times):
        with browser(program, ["--window-size=1280,900"]) as page:
            page.open("about:blank")
            page.call("Performance.enable", timeDomain="threadTicks")
            begin = processor_seconds(page)
            page.call("Page.navigate", url=file_url(path))
            page.evaluate(READY)
            opened = processor_seconds(page)
            speed = float(page.evaluate(WRITE))
            written = processor_seconds(page) - opened
            note(first_ms=float(page.evaluate(FIRST)), first_cpu_ms=1000 * (opened - begin))
            note(per_second=speed, per_cpu_second=TOKENS / written)
            note(shown_per_second=float(page.evaluate(SHOWN)))
        began, cpu, count = time.perf_counter(), time.process_time(), 0
        while count < TOKENS:
            count += sum(len(piece) for piece in run.stream(max_tokens=TOKENS, seed=count))
        note(hornbook_per_second=count / (time.perf_counter() - began))
        note(hornbook_per_cpu_second=count / (time.process_time() - cpu))
    medians = {name: statistics.median(values) for name, values in found.items()}
    return {"bytes": path.stat().st_size, **medians}


def processor_seconds(page: Page) -> float:
    """What the thread of the page has taken so far."""
    metrics = {m["name"]: m["value"] for m in page.call("Performance.getMetrics")["metrics"]}
    return float(metrics["ThreadTime"])


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
    print("| run | file | first samples | tokens/s | shown | hornbook sample |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.runs:
            run = Run.load(name)
            out = Path(folder) / f"{len(results)}.html"
            path = export(run, "html", out, dtype=args.dtype, verify=False).path
            found = results[name] = measure(run, path, program, args.times)
            print(
                f"| {run.path.name} | {found['bytes'] / 1e6:.2f} MB "
                f"| {found['first_ms']:.0f} ms ({found['first_cpu_ms']:.0f}) "
                f"| {found['per_second']:,.0f} ({found['per_cpu_second']:,.0f}) "
                f"| {found['shown_per_second']:,.0f} "
                f"| {found['hornbook_per_second']:,.0f} ({found['hornbook_per_cpu_second']:,.0f}) |"
            )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
