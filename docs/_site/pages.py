"""What pages of the site take from elsewhere in the repository.

{repository} README.md     a Markdown file outside of docs/, its links made to work on the site
{verbs}                    every verb of the command line with its options, from its parser
{settings}                 every setting of a run, from its class
{models}                   every model with its settings
{lessons} en               every lesson, from the catalog
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import textwrap
from collections.abc import Iterator
from keyword import iskeyword
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx

from _site import lessons
from hornbook.autograd import Value, draw
from hornbook.cli import VERBS
from hornbook.cli.common import Parser
from hornbook.cli.flags import SettingsParser, describe, flags_of, values_of
from hornbook.config.sections import SECTIONS, all_fields
from hornbook.models.registry import MODELS, config_class

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
PLACE = re.compile(r"^```\{(repository|verbs|settings|models|lessons)\} ?(.*)\n```$", re.MULTILINE)
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[\w-]+)?\))")  # relative ones
MERMAID = re.compile(r"```mermaid\n.*?```", re.DOTALL)
MARKUP = re.compile(r"([*_<\[{$\\])")
FLAG = re.compile(r"(?<![\w-])(--[a-z][\w.-]*\w)")
MIRRORED = {  # files outside of docs/ -> the pages that show them
    "README.md": "index.md",
    "README.zh.md": "zh.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
}


class _Found(Exception):  # noqa: N818
    """Carries the parser of a verb out of it."""

    def __init__(self, parser: Parser) -> None:
        self.parser = parser


def parser_of(verb: str) -> Parser:
    """The parser that a verb makes for itself."""

    def found(self: Parser, *_: object) -> argparse.Namespace:
        raise _Found(self)

    name = verb.replace("-", "_")
    module = importlib.import_module(f"hornbook.cli.{name}{'_' if iskeyword(name) else ''}")
    original = Parser.parse_args
    Parser.parse_args = found  # type: ignore[method-assign, assignment]
    try:
        module.run([])
    except _Found as caught:
        return caught.parser
    finally:
        Parser.parse_args = original  # type: ignore[method-assign]
    raise AssertionError(f"{verb} parses no arguments")


def verbs() -> Iterator[str]:
    """A section for each verb."""
    for verb in VERBS:
        parser = parser_of(verb)
        parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=88)
        usage = parser.format_usage().removeprefix("usage: ")
        yield f"({verb}-verb)=\n## hornbook {verb}\n{_escaped(str(parser.description))}"
        yield f"```text\n{textwrap.dedent(usage).rstrip()}\n```"
        yield f"```{{program}} hornbook {verb}\n```"
        for action in parser._actions:
            if isinstance(action, argparse._HelpAction):
                continue
            values = action.metavar or ("|".join(map(str, action.choices or ())))
            if not values and action.nargs != 0 and action.option_strings:
                values = action.dest.upper()
            names = action.option_strings or [str(values)]
            heads = [f"{n} {values}".strip() if action.option_strings else n for n in names]
            yield _directive("option", ", ".join(heads), action.help or "")
        if isinstance(parser, SettingsParser):
            yield "Every [setting](settings.md) is an option as well, such as `--lr 0.01`."


def settings() -> Iterator[str]:
    """A section for each section of the settings that all models share."""
    for section, cls in SECTIONS.items():
        if section == "model":
            continue
        yield f"## {section}\n{_escaped(cls.__doc__)}"
        for name, field in cls.model_fields.items():
            yield _setting(section, name, field, "gpt")


def models() -> Iterator[str]:
    """A section for each model."""
    for model, entry in MODELS.items():
        line = f"{entry.line[0].upper()}{entry.line[1:]}. Source: {entry.source}."
        yield f"## {model}\n{_escaped(line)}"
        for section, name, field in all_fields(config_class(model)):
            if section == "model" and name != "name":
                yield _setting(section, name, field, model, index=model == "gpt")


def _setting(section: str, name: str, field: FieldInfo, model: str, *, index: bool = True) -> str:
    setting = f"{section}.{name}"
    flags = ", ".join(f"`{flag}`" for flag in flags_of(setting))
    values = values_of(field.annotation) or "true|false"
    options = "" if index else ":no-index:\n"
    text = describe(setting, field, model)
    return f"```{{confval}} {setting}\n{options}\n{_escaped(text)}\n\n{flags} with `{values}`\n```"


def _directive(kind: str, head: str, text: str) -> str:
    return f"```{{{kind}}} {head}\n{_escaped(text.replace('%%', '%'))}\n```"


def _escaped(text: str) -> str:
    """Text as Markdown: options become `code`, and outside of it markup is escaped."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(
        p if p.startswith("`") else FLAG.sub(r"`\1`", MARKUP.sub(r"\\\1", p)) for p in parts
    )


def mirrored(name: str, page: str) -> str:
    """A Markdown file of the repository as a page of the site.

    page: where it is shown, relative to docs/. A link to a file that is a page leads to the page, any
    other to the file itself.
    """
    text = (ROOT / name).read_text("utf-8")
    folder = PurePosixPath(name).parent

    def moved(match: re.Match[str]) -> str:
        target = os.path.normpath(folder / match[2])
        target = MIRRORED.get(target, os.path.relpath(ROOT / target, DOCS))
        return f"{match[1]}{os.path.relpath(DOCS / target, (DOCS / page).parent)}{match[3]}"

    return LINK.sub(moved, text)


def _page_link(match: re.Match[str]) -> str:
    """A link of a page in docs/ to a file that is shown by another page."""
    name = os.path.normpath(os.path.join("docs", match[2]))
    return f"{match[1]}{MIRRORED.get(name, match[2])}{match[3]}"


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    def filled(match: re.Match[str]) -> str:
        kind, argument = match.groups()
        if kind == "repository":
            return mirrored(argument, f"{page}.md")
        if kind == "lessons":
            return "\n\n".join(lessons.table(argument))
        makers = {"verbs": verbs, "settings": settings, "models": models}
        return "\n\n".join(makers[kind]())

    if Path(app.env.doc2path(page)).suffix != ".md":
        return
    text = source[0] if "/" in page else LINK.sub(_page_link, source[0])
    text = PLACE.sub(filled, text)
    if page == "autograd":  # GitHub draws Mermaid; here is the engine's own drawing
        picture = "```{image} generated/neuron.svg\n:alt: the graph of a neuron\n```"
        text = MERMAID.sub(picture, text)
    source[0] = text


def _draw_neuron(app: Sphinx) -> None:
    """Writes the picture that docs/autograd.md describes in Mermaid."""
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    o = (x1 * w1 + x2 * w2 + Value(6.8813735870195432, label="b")).tanh()
    o.backward()
    folder = DOCS / "generated"
    folder.mkdir(exist_ok=True)
    draw(o).save(str(folder / "neuron.svg"))


def _known_lexers(app: Sphinx, doctree: nodes.document) -> None:
    """Blocks of languages that Pygments does not know are plain text."""
    for node in doctree.findall(nodes.literal_block):
        if node.get("language") in ("mermaid", "modelfile"):
            node["language"] = "text"


def _say_language(app: Sphinx, page: str, template: str, context: dict[str, Any], _: Any) -> None:
    """Pages in Chinese say so: readers aloud, translators and the choice of glyphs go by it."""
    if "zh" in page.split("/"):
        context["language"] = "zh-CN"


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", _draw_neuron)
    app.connect("source-read", _read)
    app.connect("doctree-read", _known_lexers)
    app.connect("html-page-context", _say_language)
    return {"parallel_read_safe": True}
