"""`hornbook export RUN --to TARGET`."""

from __future__ import annotations

from pathlib import Path

from hornbook.cli.common import Parser, add_part, load_run, note, print_json
from hornbook.errors import RunError


def run(arguments: list[str]) -> int:
    """Writes a run for another program, and prints what was compared; 1 where it is not equal."""
    parser = Parser("export")
    parser.add_argument("path", metavar="RUN", help="a run directory")
    parser.add_argument(
        "--to",
        required=True,
        metavar="TARGET",
        help="hf (transformers), gguf (llama.cpp, Ollama), onnx, html (one page), numpy (one .py)",
    )
    parser.add_argument("--out", type=Path, help="file or directory to make")
    parser.add_argument("--dtype", help="of the weights: f32, f16, bf16, q8_0")
    parser.add_argument("--no-verify", action="store_true", help="do not compare afterwards")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    add_part(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(arguments)

    made = load_run(args.path, args.part).export(
        args.to,
        args.out,
        dtype=args.dtype,
        verify=not args.no_verify,
        overwrite=args.overwrite,
    )
    if args.json:
        print_json(
            {
                "path": str(made.path),
                "dtype": made.written.dtype,
                "notes": list(made.written.notes),
                "checks": [vars(check) for check in made.checks],
                "unchecked": made.unchecked,
            }
        )
    else:
        print(f"{made.path}  ({made.written.dtype})")
        for line in (*made.written.notes, *map(str, made.checks)):
            print(f"  {line}")
        if made.unchecked:
            note(f"hornbook: {made.unchecked}")
    return 0 if all(check.equal for check in made.checks) else RunError.exit_code
