"""The page of `hornbook inspect`: every figure with its finding and how to read it, in one file.

The page loads nothing: figures are inlined, there is no script and no font. Colors follow
the reader's light or dark setting; figures stay on white cards. Each figure is drawn twice: a narrow
screen shows the narrow one, whose letters are larger there, and a click opens the wide one large.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from hornbook.errors import RunError
from hornbook.figures.about import about, escaped
from hornbook.figures.data import DoesNotApplyError, figure_data, known_text
from hornbook.figures.registry import FIGURES
from hornbook.figures.style import Figure, narrow
from hornbook.files import remove, user_path, write_bytes
from hornbook.metrics.finding import Finding
from hornbook.runs.directory import StoredRun
from hornbook.runs.verdict import verdict_rows, verdict_text
from hornbook.stages import stage
from hornbook.table import Tabular
from hornbook.visible import visible

STYLE = """
:root { color-scheme: light dark; --paper: #fafafa; --card: #fff; --ink: #1a1a1a; --soft: #595959;
  --line: #d9d9d9; --good: #00664b; --bad: #a34400; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181b; --card: #202327; --ink: #ececec;
  --soft: #a9afb6; --line: #3a3f45; --good: #4fd0a5; --bad: #ff9a57; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
main { max-width: 50rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 0 0 .4rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem; margin: 1.2rem 0; }
img { display: block; width: 100%; height: auto; background: #fff; border-radius: .4rem; }
.soft { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
.finding { font-weight: 600; margin: 0 0 .7rem; } p { margin: .6rem 0 0; }
nav a { display: inline-block; margin: 0 .9rem .3rem 0; color: inherit; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .6rem 0; }
dt { color: var(--soft); } dd { margin: 0; } pre { margin: 0; font: inherit; white-space: pre-wrap; }
pre + pre { margin-top: .6rem; }
figure { margin: 0; } .narrow, .close { display: none; }
figure:target { position: fixed; inset: 0; z-index: 1; overflow: auto; background: #fff;
  padding: 3rem .5rem 1rem; }
figure:target .wide { width: max(100%, 60rem); }
figure:target .close { display: block; position: fixed; top: .5rem; right: .8rem; padding: .2rem .8rem;
  background: #1a1a1a; color: #fff; border-radius: .4rem; }
@media (max-width: 34rem) { main { padding: .8rem .4rem 3rem; } section { padding: .7rem; }
  dl { display: block; } dd { margin: 0 0 .4rem; }
  figure:not(:target) .wide { display: none; } figure:not(:target) .narrow { display: block; } }
"""


NO_FINDING = Finding("")


@dataclass(repr=False)
class Inspection(Tabular):
    """The page and the figures that were written.

    Attributes:
        folder: where they are.
        written: names of the figures.
        left_out: figure -> why, in one line.
        findings: figure -> what it says.
        text_note: which characters of the given text were left out.
    """

    folder: Path
    written: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    text_note: str = ""

    @property
    def page(self) -> Path:
        """The page with all figures."""
        return self.folder / "index.html"

    def to_json(self) -> dict[str, Any]:
        """As plain data: the page, and of each figure its file and finding; `good` is false where
        something needs doing."""
        figures = {
            name: {"svg": str(self.folder / f"{name}.svg")}
            | asdict(self.findings.get(name, NO_FINDING))
            for name in self.written
        }
        return {
            "page": str(self.page),
            "figures": figures,
            "left_out": self.left_out,
            "text_note": self.text_note,
        }

    def table_rows(self) -> list[list[str]]:
        """The figures and what they say."""
        rows = [[n, self.findings[n].text if n in self.findings else ""] for n in self.written]
        return [["figure", "finding"], *rows]

    def table_notes(self) -> list[str]:
        """Where the page is, and what was left out."""
        return [f"{name}: left out: {why}" for name, why in self.left_out.items()] + [
            str(self.page)
        ]


def inspect(
    run: StoredRun,
    folder: Path | None = None,
    text: str | None = None,
    on_message: Callable[[str], None] = lambda line: None,
) -> Inspection:
    """Writes every figure that applies as PNG and SVG, and the page with all of them.

    Figures of a former page in the folder that this page does not have are removed.

    folder: by default `inspect` in the run directory.
    text: the text that figures read and continue; by default held-out text.
    on_message: called with a line for each figure.
    Raises RunError where the folder cannot be made, DataError where the model knows no character of
    the text.
    """
    if folder is not None:
        folder = user_path(folder, RunError)
    else:
        folder = run.path / "inspect"
        if folder.is_symlink():  # a run may come from a stranger, and lead anywhere
            raise RunError(
                f"{folder}: is a link, expected a folder of the run's own; remove it, or give "
                "another folder (--out)"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be made ({error.strerror}); give another (--out)"
        ) from None
    inspection, sections = Inspection(folder), []
    if text is not None:
        text, inspection.text_note = known_text(run, text)
        if inspection.text_note:
            on_message(inspection.text_note)
    if missing := figure_data(run).missing:
        on_message(f"{missing}; the model's own samples are drawn instead")
    for name, entry in FIGURES.items():
        try:
            with stage(f"drawing {name}"):
                figure = entry.draw(run, text)
                with narrow():
                    small = entry.draw(run, text)
                svg, narrow_svg, png = figure.svg(), small.svg(), figure.png()
        except DoesNotApplyError as error:
            inspection.left_out[name] = str(error)
            if inspection.page.exists():
                remove(folder / f"{name}.svg")
                remove(folder / f"{name}.png")
            on_message(f"{name}: left out: {error}")
            continue
        write_bytes(folder / f"{name}.svg", svg.encode())
        write_bytes(folder / f"{name}.png", png)
        inspection.written.append(name)
        if figure.finding is not None:
            inspection.findings[name] = figure.finding
        on_message(f"{name}: {figure.finding.text if figure.finding else 'drawn'}")
        sections.append(_section(name, figure, svg, narrow_svg))
    write_bytes(inspection.page, _page(run, inspection, sections).encode())
    return inspection


def summary(run: StoredRun) -> str:
    """A run as HTML for notebooks: model, loss, verdict, samples, loss curve."""
    report = run.report
    rows = {"model": f"{run.config.model.name}, {run.facts['n_parameters']:,} parameters"}
    rows["corpus"] = run.facts["corpus"]["name"]
    if report:
        rows["validation" if run.config.data.held_out else "training text"] = (
            f"{report['validation']['nats']:.4f} nats per token"
        )
        rows.update((name, text) for name, text in verdict_rows(report) if name)
        rows["samples"] = ", ".join(visible(sample) for sample in report["samples"][:10])
    cells = "".join(
        f"<tr><th>{name}</th><td style='text-align: left'>{escaped(value)}</td></tr>"
        for name, value in rows.items()
        if value
    )
    try:
        picture = _picture(FIGURES["losses"].draw(run, None).svg(), 'alt="Loss" width="600"')
    except DoesNotApplyError:
        picture = ""
    return f"<b>{escaped(str(run.path))}</b><table>{cells}</table>{picture}"


def _picture(svg: str, options: str) -> str:
    data = base64.b64encode(svg.encode()).decode()
    return f'<img {options} src="data:image/svg+xml;base64,{data}">'


def _section(name: str, figure: Figure, wide: str, small: str) -> str:
    entry, finding = FIGURES[name], figure.finding
    words = alt = ""
    if finding is not None:
        mark, sign = ("good", "") if finding.good else ("bad", "▲ ")
        alt = escaped(finding.text)
        words = f'<p class="finding {mark}">{sign}{alt}</p>'
    note = f" ({escaped(figure.note)}.)" if figure.note else ""
    pictures = "".join(
        _picture(svg, f'class="{which}" alt="{entry.title}. {alt}"')
        for which, svg in (("wide", wide), ("narrow", small))
    )
    large = f"{name}-large"
    return (
        f'<section id="{name}"><h2>{entry.title}</h2>{words}<figure id="{large}">'
        f'<a class="close" href="#{name}">Close</a>'
        f'<a href="#{large}" title="Open large">{pictures}</a></figure>'
        f"<p>{escaped(f'{entry.reading} {figure.reading}'.strip())}{note}</p></section>"
    )


PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8">\
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">\
<title>$name: inspection</title><style>$style</style></head><body><main><h1>$name</h1>\
$about$verdict$notes<nav><p>$links</p></nav>$sections$left_out</main></body></html>
""")


def _page(run: StoredRun, inspection: Inspection, sections: list[str]) -> str:
    notes = filter(None, (figure_data(run).missing, inspection.text_note))
    left_out = "".join(
        f"<p><b>{FIGURES[name].title}</b>: {escaped(why)}.</p>"
        for name, why in inspection.left_out.items()
    )
    if left_out:
        left_out = f'<section class="soft"><h2>Not drawn</h2>{left_out}</section>'
    return PAGE.substitute(
        name=escaped(run.path.resolve().name),
        style=STYLE,
        about=about(run),
        verdict=_verdict(run.report),
        notes="".join(f'<p class="bad">{escaped(note)}.</p>' for note in notes),
        links="".join(f'<a href="#{n}">{FIGURES[n].title}</a>' for n in inspection.written),
        sections="".join(sections),
        left_out=left_out,
    )


def _verdict(report: Mapping[str, Any]) -> str:
    """The verdict on the run and what to do, for the page."""
    found = report.get("verdict") or {}
    mark = "good" if found.get("good") else "bad"
    lines = [(f"finding {mark}", verdict_text(report))]
    lines += [(mark, line) for line in found.get("advice", [])]
    return "".join(f'<p class="{cls}">{escaped(line)}</p>' for cls, line in lines if line)
