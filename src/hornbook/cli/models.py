"""`hornbook models [MODEL]`."""

from __future__ import annotations

from typing import Any

from hornbook.cli.common import Parser, print_json
from hornbook.table import table


def run(arguments: list[str]) -> int:
    """Lists the models, or the settings of one."""
    parser = Parser("models")
    parser.add_argument("model", metavar="MODEL", nargs="?", help="the model to list settings of")
    parser.add_argument("--json", action="store_true", help="as JSON")
    args = parser.parse_args(arguments)

    from hornbook.models.registry import MODELS

    if args.json and args.model is None:
        print_json({name: {"line": e.line, "source": e.source} for name, e in MODELS.items()})
        return 0
    if args.model is None:
        rows = [(name, entry.line, entry.source) for name, entry in MODELS.items()]
        print(table([("model", "what it is", "from"), *rows]))
        print("\nhornbook models MODEL lists its settings; hornbook train --model MODEL trains it")
        return 0
    from hornbook.cli.flags import help_lines, setting_rows

    if args.json:
        print_json(_described(args.model))
        return 0
    settings = dict(setting_rows(args.model))
    settings.pop("model.name")
    lines = help_lines(row for setting, row in settings.items() if setting.startswith("model."))
    entry = MODELS[args.model]
    print(f"{args.model}: {entry.line}\n{entry.source}\n\n{lines or '  no settings'}")
    return 0


def _described(model: str) -> dict[str, Any]:
    """A model and its settings: the description and default of each; null: chosen by hornbook."""
    from hornbook.models.registry import MODELS, config_class

    fields = config_class(model).model_fields
    settings = {
        f"model.{name}": {"default": field.get_default(), "description": field.description}
        for name, field in fields.items()
        if name != "name"
    }
    entry = MODELS[model]
    return {"model": model, "line": entry.line, "source": entry.source, "settings": settings}
