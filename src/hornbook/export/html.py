"""One file of HTML that runs the model offline, by a double click, in any current browser.

Inside are the weights (`compact.py`), the tokenizer, the card, and the page of `hornbook/web` with its
engine, which computes every model of the registry in plain JavaScript. Whatever a run holds is data
there: JSON and base64 in blocks that are no script, shown as text.
"""

from __future__ import annotations

import base64
import json
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hornbook.errors import RunError
from hornbook.export.base import (
    EQUAL,
    Check,
    Written,
    every_symbol,
    greedy_text,
    measured_tokens,
    random_rows,
    relative_difference,
    rounding_cost,
)
from hornbook.export.browser import BrowserError, Page, browser, file_url, find_browser
from hornbook.export.bundle import bundle, page
from hornbook.export.compact import as_bytes, compact, restored
from hornbook.figures.about import facts
from hornbook.figures.data import frequent_tokens
from hornbook.files import dump, write_bytes
from hornbook.generate import make_generator, sample
from hornbook.machine import format_bytes
from hornbook.models.base import LanguageModel
from hornbook.models.registry import build_empty
from hornbook.runs.directory import StoredRun
from hornbook.runs.verdict import verdict_text
from hornbook.stages import stage
from hornbook.visible import visible

PROGRAM = None
INSTALL = "a browser (Chromium, Chrome, Edge) or Node"
DTYPES = ("f16", "f32", "q8_0")
SUFFIX = ".html"
TOKENS = 80  # in the map of embeddings
SEED, SAMPLES, LENGTH = 0, 6, 200  # what the page writes first: `web/write.js`
ROUNDED = 0.5  # of the spread of the logits: more is no rounding
MOST_LOGITS = 1 << 22  # that are compared: the answer of a browser has its limits
IMPOSSIBLE = -1e4  # in place of a logit of -inf
READY = """new Promise((resolve, reject) => {
  const look = () => {
    const error = document.getElementById("error");
    if (globalThis.hornbook) resolve();
    else if (error && !error.hidden) reject(error.textContent);
    else setTimeout(look, 20);
  };
  look();
})"""


def write(run: StoredRun, out: Path, dtype: str) -> Written:
    """The page, with the weights in `dtype`, and what they lose by it."""
    stored = compact(run.model.state_dict(), dtype)
    weights = base64.b64encode(as_bytes(stored)).decode()
    html = page(
        {
            "data": ("application/json", as_json(page_data(run))),
            "weights": ("text/plain", weights),
        }
    )
    write_bytes(out, html.encode())
    notes = [format_bytes(out.stat().st_size)]
    if dtype != "f32":
        weights_read = restored(stored, run.model.state_dict())
        with stage(f"loss with weights in {dtype}"):
            notes.append(rounding_cost(run, run.model, weights_read))
    return Written(out, dtype, tuple(notes))


def page_data(run: StoredRun) -> dict[str, Any]:
    """What the page knows beside the weights, as plain data (`web/engine.js`, `web/backend.js`)."""
    config = run.model.config
    model = config.model_dump(mode="json")
    if network := getattr(config, "network_config", None):
        model["network_config"] = network().model_dump(mode="json")
    return {
        "name": visible(run.path.resolve().name),
        "summary": summary(run),
        "documents": run.documents,
        "model": model,
        "tokenizer": run.tokenizer.to_json(),
        "window": run.config.generation.window,
        "whole_prompt": run.template is not None,
        "frequent": frequent_tokens(run, TOKENS)[0].tolist(),
        "card": page_card(run),
    }


def summary(run: StoredRun) -> str:
    """A model in a line."""
    kept = "probabilities" if run.model.fitted else "parameters"
    made = f"trained on {run.facts['corpus']['name']}"
    if run.imported:
        made = f"imported from {run.imported}"
    return visible(f"{run.model.config.name}, {run.facts['n_parameters']:,} {kept}, {made}")


def page_card(run: StoredRun) -> dict[str, Any]:
    """What a page says about a model (`web/about.js`): texts and rows of texts, without a path of this
    machine."""
    report, corpus = run.report, run.facts["corpus"]
    verdict = report.get("verdict") or {}
    return {
        "facts": [[name, visible(value)] for name, value in _facts(run)],
        "verdict": verdict_text(report),
        "good": bool(verdict.get("good")),
        "advice": verdict.get("advice", []),
        "novelty": (report.get("novelty") or {}).get("verdict", ""),
        "text": []
        if run.imported
        else [
            ["Name", visible(corpus["name"])],
            ["Source", visible(_without_folder(corpus["source"]))],
            ["Kind", f"{corpus['kind']}: {visible(corpus['why'])}"],
            ["Size", format_bytes(corpus["bytes"])],
            ["SHA-256", corpus["sha256"]],
        ],
    }


def _facts(run: StoredRun) -> list[tuple[str, str]]:
    """The facts of a run; runs that it was mixed from by their names, without their folders."""
    rows = [(name, value) for name, value in facts(run) if value]
    for path in run.facts.get("mixed", ()):
        rows = [(name, value.replace(path, Path(path).name)) for name, value in rows]
    return rows


def as_json(data: Any) -> str:
    """Plain data as JSON for a block of a page, which no text in it can end."""
    return json.dumps(json.loads(dump(data)), separators=(",", ":")).replace("<", "\\u003c")


def as_stored(run: StoredRun, dtype: str) -> LanguageModel:
    """The model with the weights as a page of this dtype has them."""
    weights = run.model.state_dict()
    model = build_empty(run.model.config, run.tokenizer.vocab_size, run.tokenizer.end_id)
    model.load_weights(restored(compact(weights, dtype), weights))
    return model.eval()


def check(run: StoredRun, written: Written) -> list[Check]:
    """Opens the page in a browser; without one its script runs in Node. Nothing where neither is."""
    model = run.model if written.dtype == "f32" else as_stored(run, written.dtype)
    rows = random_rows(run)
    rows = rows[: max(1, MOST_LOGITS // (rows.shape[1] * run.tokenizer.vocab_size))]
    program, node = find_browser(), shutil.which("node")
    if program is not None:
        try:
            with browser(program) as opened:
                opened.open(file_url(written.path))
                opened.evaluate(READY)
                return _compared(run, model, rows, opened)
        except BrowserError:  # it does not start here
            if node is None:
                raise
    if node is not None:
        name, logits, text = _in_node(node, written.path, rows)
        return [*_logits(run, model, rows, logits, name), _text(run, model, text, name)]
    return []


def _compared(run: StoredRun, model: LanguageModel, rows: Tensor, opened: Page) -> list[Check]:
    name = opened.call("Browser.getVersion")["product"].replace("HeadlessChrome/", "Chrome ")
    name = name.replace("/", " ")
    everything = every_symbol(run)
    expected = run.tokenizer.encode(everything, unknown="skip").tolist()
    found = opened.evaluate(f"hornbook.backend.encode({as_json(everything)})")
    _, greedy = greedy_text(run, model)
    written = opened.evaluate(f"({GREEDY})(hornbook.engine, {len(greedy)})")
    logits = opened.evaluate(f"({LOGITS})(hornbook.engine, {rows.tolist()})")
    text = opened.evaluate("document.getElementById('text').textContent")
    return [
        Check(name, "tokens of a text with every symbol", found["ids"] == expected),
        *_logits(run, model, rows, logits, name),
        Check(name, f"a greedy text of {len(greedy)} tokens", written == greedy),
        _text(run, model, text, name),
    ]


def speed(run: StoredRun, written: Written) -> float | None:
    """Tokens per second of the most probable text, without an end, by the page's own clock: the median
    of three times after a first one. None without a browser."""
    program = find_browser()
    if program is None:
        return None
    with browser(program) as opened:
        opened.open(file_url(written.path))
        opened.evaluate(READY)
        speeds = opened.evaluate(f"({SPEED})(hornbook.engine, {measured_tokens(run.model)})")
    return float(statistics.median(speeds[1:]))


SPEED = """({ model, tokenizer }, n) => [0, 1, 2, 3].map(() => {
  const began = performance.now();
  let { logits, state } = model.start([tokenizer.startId]);
  for (let i = 0; i < n; i++) {
    if (tokenizer.endId !== null) logits[tokenizer.endId] = -Infinity;
    logits = model.step(logits.indexOf(logits.reduce((a, b) => Math.max(a, b))), state);
  }
  return (1000 * n) / (performance.now() - began);
})"""
GREEDY = """(engine, maxTokens) =>
  Array.from(engine.generate([], { maxTokens, temperature: 0, seed: 0 }), ({ token }) => token.id)"""


# the logits of rows as base64 of float32
LOGITS = """(engine, rows) => {
  let text = "";
  for (const row of rows)
    for (const logits of engine.logits(row)) {
      const bytes = new Uint8Array(Float32Array.from(logits).buffer);
      for (const byte of bytes) text += String.fromCharCode(byte);
    }
  return btoa(text);
}"""


def _logits(
    run: StoredRun, model: LanguageModel, rows: Tensor, found: str, name: str
) -> list[Check]:
    """Against the weights as the page has them, and where those are rounded, against the run's own."""
    values = np.frombuffer(base64.b64decode(found), dtype="<f4").reshape(rows.numel(), -1)
    read = _finite(torch.from_numpy(values.copy()))

    def compared(own: LanguageModel, what: str, tolerance: float) -> Check:
        with torch.inference_mode():
            expected = _finite(own(rows).float().flatten(0, 1))
        difference = relative_difference(expected, read)
        return Check(name, what, difference <= tolerance, difference)

    checks = [compared(model, f"logits at {rows.numel():,} random positions", EQUAL)]
    if model is not run.model:
        checks.append(compared(run.model, "the same by weights that are not rounded", ROUNDED))
    return checks


def _finite(logits: Tensor) -> Tensor:
    return logits.nan_to_num(neginf=IMPOSSIBLE)


def _text(run: StoredRun, model: LanguageModel, text: str, name: str) -> Check:
    n, length = (SAMPLES, 500) if run.documents else (1, LENGTH)
    own = sample(
        model, run.tokenizer, n=n, max_tokens=length, generator=make_generator(SEED),
        window=run.config.generation.window,
    )  # fmt: skip
    return Check(name, f"the first text, of seed {SEED}", text == own[0].text)


def _in_node(node: str, path: Path, rows: Tensor) -> tuple[str, str, str]:
    """Its version, the logits of rows, and the text of seed 0, by the script of the page alone."""
    script = f"""{bundle("engine.js")}
import {{ readFileSync }} from "node:fs";
const html = readFileSync({json.dumps(str(path.absolute()))}, "utf-8");
const block = (id) => html.match(new RegExp(`id="${{id}}">([^<]*)<`))[1];
const data = JSON.parse(block("data"));
const engine = await $engine.loadEngine(data, block("weights"));
let text = "";
const first = {{ maxTokens: data.documents ? 500 : {LENGTH}, seed: {SEED} }};
for (const {{ token }} of engine.generate([], first)) text += token.text;
const name = `Node ${{process.versions.node}}`;
console.log(JSON.stringify([name, ({LOGITS})(engine, {rows.tolist()}), text]));
"""
    done = subprocess.run(
        [node, "--input-type=module", "-"], input=script, capture_output=True, text=True,
        encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        raise RunError(f"Node: {done.stderr.strip().splitlines()[-1:] or 'failed'}")
    name, logits, text = json.loads(done.stdout)
    return name, logits, text


def _without_folder(source: str) -> str:
    """Where a text comes from; of a path on this machine its last part alone."""
    return Path(source).name if "/" in source and Path(source).is_absolute() else source
