"""`hornbook train [CORPUS]`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from hornbook.cli.common import Parser, split_dotted
from hornbook.config import SECTIONS, merge, parse_overrides, read_toml
from hornbook.errors import ConfigError
from hornbook.files import user_path


def run(arguments: list[str]) -> int:
    """Trains a model, or goes on with a run."""
    began = time.monotonic()  # --minutes counts from here, the import of torch included
    rest, dotted = split_dotted(arguments)
    args = _parser(full_help=bool({"-h", "--help"} & set(rest))).parse_args(rest)
    if args.resume is not None:
        return _resume(args, dotted)
    from hornbook.api import train
    from hornbook.cli.progress import Progress

    toml = read_toml(user_path(args.config, ConfigError)) if args.config is not None else {}
    flags = {
        "steps": args.steps,
        "minutes": args.minutes,
        "seed": args.seed,
        "device": args.device,
        "precision": args.precision,
        "reference": args.reference,
        "deterministic": args.deterministic,
        "patience": args.patience,
        "probe_every": args.probe_every,
    }
    training = {name: value for name, value in flags.items() if value is not None}
    data = {"kind": args.kind, "encoding": args.encoding}
    data = {name: value for name, value in data.items() if value is not None}
    flagged = {"training": training, "data": data}
    overrides = parse_overrides(dotted)
    for section, fields in flagged.items():
        for name, value in fields.items():
            other = overrides.get(section, {}).get(name, value)
            if str(other) != str(value):
                raise ConfigError(
                    f"--{name}: found {value!r}, but --{section}.{name} is {other!r}; give one"
                )
    settings = merge(toml, overrides, flagged)
    finished = train(
        args.corpus,
        model=args.model,
        preset=args.preset,
        out=args.out,
        began=began,
        settings=settings,
        callbacks=[Progress()],
    )
    _summary(finished.path)
    return 0


def _resume(args: argparse.Namespace, dotted: list[str]) -> int:
    from hornbook.api import resume
    from hornbook.cli.progress import Progress

    given = ("corpus", "model", "preset", "config", "minutes", "seed", "out", "device", "precision",
             "kind", "encoding", "reference", "deterministic", "patience", "probe_every")  # fmt: skip
    if extra := [name for name in given if getattr(args, name) is not None]:
        raise ConfigError(
            f"--resume: found {extra[0]} beside it; a run goes on with its own settings, only "
            "--steps (updates in all) and the rates of --optim can be changed"
        )
    changes = {
        f"{section}.{name}": value
        for section, fields in parse_overrides(dotted).items()
        for name, value in fields.items()
    }
    finished = resume(args.resume, steps=args.steps, settings=changes, callbacks=[Progress()])
    _summary(finished.path)
    return 0


def _summary(path: Path) -> None:
    """What came of it, on stdout."""
    import hornbook
    from hornbook.cli.common import number, table, visible, with_error

    run = hornbook.load(str(path))
    report = run.report
    validation, samples = report["validation"], report["samples"]
    rows = [
        (
            "validation" if run.config.data.held_out else "training text",
            f"{with_error(validation['nats'], validation['standard_error'])} nats per token, "
            f"{number(validation['bits_per_byte'])} bits per byte",
        )
    ]
    if run.documents:
        corpus = "the beginning of the corpus" if run.large else "the corpus"
        rows.append(
            (
                "new",
                f"{report['samples_new']} of the {report['samples_different']} different ones above "
                f"are not in {corpus}",
            )
        )
        shown = [visible(s) or "(empty)" for s in samples]
        width = max(map(len, shown), default=0)
        columns = max(1, 80 // (width + 2))
        for i in range(0, len(shown), columns):
            print("  ".join(s.ljust(width) for s in shown[i : i + columns]).rstrip())
    else:
        print(*samples, sep="\n")
    rows.append(("verdict", report["novelty"]["verdict"]))
    best = report["best_step"]
    if not run.model.fitted and best < report["steps"]:
        rows.append(("best", f"the weights of update {best} of {report['steps']}"))
    first = samples[0] if samples and samples[0] and run.documents else "some text"
    data = run.config.data
    tested = run.documents and (data.held_out if data.test is None else data.test > 0)
    place = _quoted(str(path))
    rows += [
        ("time", f"{report['seconds']:.1f} s of training"),
        ("again", report["determinism"]),
        ("run", str(path)),
        ("next", f"hornbook sample {place} -n 20"),
        ("", f"hornbook score {place} {_quoted(visible(first[:40]))} --tokens"),
        ("", f"hornbook eval {place}" + (" --split test" if tested else "")),
        ("", f"hornbook show {place}"),
    ]
    print()
    print(table(rows))


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


def _parser(*, full_help: bool) -> Parser:
    parser = Parser("train", epilog=_settings_help() if full_help else "")
    parser.add_argument(
        "corpus", nargs="?", help="a name from `hornbook data` or a text file (default: names)"
    )
    parser.add_argument("--model", help="a name from `hornbook models` (default: gpt)")
    parser.add_argument("--preset", help="a whole configuration by name")
    parser.add_argument("--steps", help="updates in all")
    parser.add_argument(
        "--minutes", help="the one dial: size, batch and updates that end after so many minutes"
    )
    parser.add_argument("--seed", help="every generator is derived from it")
    parser.add_argument("--out", type=Path, help="directory of the run (default: under runs/)")
    parser.add_argument("--device", help="auto, cpu, cuda or mps")
    parser.add_argument("--precision", help="auto, fp32 or bf16")
    parser.add_argument(
        "--reference",
        action="store_const",
        const=True,
        help="nothing fast: the path to compare with",
    )
    parser.add_argument(
        "--deterministic",
        action="store_const",
        const=True,
        help="the same bits every time, also on a GPU; refuses what cannot give them",
    )
    parser.add_argument("--patience", help="stop after so many evaluations without a best")
    parser.add_argument(
        "--probe-every", metavar="N", help="look inside every N updates, for `hornbook inspect`"
    )
    parser.add_argument("--kind", help="auto, documents (one a line) or stream")
    parser.add_argument("--encoding", help="encoding of the file (default: utf-8)")
    parser.add_argument("--config", type=Path, help="settings from a TOML file")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run")
    return parser


def _settings_help() -> str:
    from hornbook.config import presets

    lines = [
        "settings, as flags (--optim.learning-rate 0.01) or in TOML ([optim]); the defaults are"
    ]
    lines.append("those of --model gpt, where two are given for documents / for a stream:")
    for section, cls in SECTIONS.items():
        if section == "model":
            lines.append("  --model.*: see `hornbook models MODEL`")
            continue
        lines += field_lines(section, cls, "gpt")
    lines.append("\npresets: " + ", ".join(presets.PRESETS))
    return "\n".join(lines)


def field_lines(section: str, cls: type, model: str) -> list[str]:
    """One line for each field of a section: flag, what a model's presets make of it, description."""
    from hornbook.config import presets

    lines = []
    for name, field in cls.model_fields.items():  # type: ignore[attr-defined]
        if section == "model" and name == "name":
            continue
        flag = f"--{section}.{name.replace('_', '-')}"
        both = [
            str(presets.default(model, documents=kind).get(section, {}).get(name, field.default))
            for kind in (True, False)
        ]
        default = " / ".join(dict.fromkeys(both))
        lines.append(f"  {flag:<26} {field.description} (default: {default})")
    return lines
