"""`hornbook import DIR|FILE`."""

from __future__ import annotations

from pathlib import Path

from hornbook.cli.common import Parser, print_json


def run(arguments: list[str]) -> int:
    """Makes a run of a model that others trained, and prints where it is."""
    parser = Parser("import")
    parser.add_argument(
        "source",
        metavar="MODEL",
        help="a directory of Hugging Face's transformers (GPT-2, Llama or Qwen3, in safetensors), or a "
        "GGUF file of llama.cpp",
    )
    parser.add_argument("--out", type=Path, help="directory of the new run (default: runs/<name>)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(arguments)

    from hornbook.api import import_model

    notes: list[str] = []
    made = import_model(args.source, args.out, on_message=notes.append)
    facts = made.facts
    if args.json:
        imported, tokens = facts["imported"], facts["vocab_size"]
        parameters = facts["n_parameters"]
        found = {**imported, "n_parameters": parameters, "vocab_size": tokens, "notes": notes}
        print_json({"run": str(made.path), **found})
        return 0
    model = f"{made.config.model.name}, {facts['n_parameters']:,} parameters"
    print(f"{made.path}  ({facts['imported']['form']} -> {model})")
    for line in notes:
        print(f"  {line}")
    return 0
