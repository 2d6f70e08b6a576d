"""`hornbook models [MODEL]`."""

from __future__ import annotations

from hornbook.cli.common import Parser
from hornbook.table import table


def run(arguments: list[str]) -> int:
    """Lists the models, or the settings of one."""
    parser = Parser("models")
    parser.add_argument("model", metavar="MODEL", nargs="?", help="the model to list settings of")
    args = parser.parse_args(arguments)

    from hornbook.models.registry import MODELS

    if args.model is None:
        rows = [(name, entry.line, entry.source) for name, entry in MODELS.items()]
        print(table([("model", "what it is", "from"), *rows]))
        print("\nhornbook models MODEL lists its settings; hornbook train --model MODEL trains it")
        return 0
    from hornbook.cli.flags import help_lines, setting_rows

    settings = dict(setting_rows(args.model))
    settings.pop("model.name")
    lines = help_lines(row for setting, row in settings.items() if setting.startswith("model."))
    entry = MODELS[args.model]
    print(f"{args.model}: {entry.line}\n{entry.source}\n\n{lines or '  no settings'}")
    return 0
