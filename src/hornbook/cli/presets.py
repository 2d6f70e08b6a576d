"""`hornbook presets [PRESET]`."""

from __future__ import annotations

import inspect
import json
from typing import Any

from hornbook.cli.common import Parser, print_json
from hornbook.config import presets
from hornbook.table import table


def run(arguments: list[str]) -> int:
    """Lists the presets, or prints the settings of one as TOML."""
    parser = Parser("presets")
    parser.add_argument("preset", metavar="PRESET", nargs="?", help="the preset to print")
    parser.add_argument("--json", action="store_true", help="as JSON")
    args = parser.parse_args(arguments)
    if args.json:
        names = presets.PRESETS if args.preset is None else [args.preset]
        print_json({n: {"settings": presets.named(n), "line": _line(n)} for n in names})
        return 0
    if args.preset is None:
        rows = []
        for name, preset in presets.PRESETS.items():
            settings = preset()
            corpus = settings.get("data", {}).get("corpus", "any text")
            rows.append((name, settings["model"]["name"], corpus, _line(name)))
        print(table([("preset", "model", "corpus", "what it is"), *rows]))
        print(
            "\nhornbook presets PRESET prints its settings; hornbook train --preset PRESET trains it"
        )
        return 0
    settings = presets.named(args.preset)
    print(f"# {args.preset}: {_line(args.preset)}")
    for section, fields in settings.items():
        print(f"\n[{section}]")
        for name, value in fields.items():
            print(f"{name} = {_toml(value)}")
    return 0


def _line(name: str) -> str:
    """What a preset is: the first line of its docstring."""
    return (inspect.getdoc(presets.PRESETS[name]) or "").partition("\n")[0].replace("`", "")


def _toml(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str | bool) else repr(value)
