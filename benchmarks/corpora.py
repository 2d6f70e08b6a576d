"""Texts of different kinds and sizes for benchmarks, from what Python and its standard library bring.

    python benchmarks/corpora.py FOLDER [NAME ...]

`write` puts one into a folder, as a file that `hornbook train` reads.
"""

from __future__ import annotations

import argparse
import ast
import random
import re
import sys
import sysconfig
import unicodedata
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path

SOURCE_CHARACTERS = 2_000_000
LIBRARY_CHARACTERS = 10_000_000


def _modules() -> Iterator[str]:
    """The modules of the standard library in order of their names, without packages."""
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        yield path.read_text("utf-8")


def docs() -> str:
    """The language reference of Python as `help` shows it: a stream of 0.7 MB."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def source() -> str:
    """Modules of the standard library: a stream of 2 MB, ASCII."""
    text = "\n".join(_modules())
    return text.encode("ascii", "ignore").decode("ascii")[:SOURCE_CHARACTERS]


def library() -> str:
    """The standard library with its packages and their tests: a stream of 10 MB, ASCII."""
    folder, found, size = Path(sysconfig.get_paths()["stdlib"]), [], 0
    for path in sorted(folder.rglob("*.py")):
        if "site-packages" not in path.parts and size < LIBRARY_CHARACTERS:
            text = path.read_bytes().decode("ascii", "ignore")
            found.append(text)
            size += len(text)
    return "\n".join(found)[:LIBRARY_CHARACTERS]


def licenses() -> str:
    """Free licenses that Debian has in /usr/share/common-licenses: a stream of 0.2 MB."""
    files = sorted(Path("/usr/share/common-licenses").iterdir())
    return "\n".join(f.read_text("utf-8", "replace") for f in files if not f.is_symlink())


def identifiers() -> str:
    """Different names in the standard library, one a line."""
    words = set(re.findall(r"[A-Za-z_][A-Za-z_0-9]{2,}", "\n".join(_modules())))
    return _lines(words)


def characters() -> str:
    """Names of characters in Unicode, but for ideographs and the like, one a line."""
    names = {unicodedata.name(chr(i), "") for i in range(sys.maxunicode)}
    return _lines({n for n in names if n and not re.search(r"-[0-9A-F]{4,}$|HANGUL SYLL", n)})


def sentences() -> str:
    """First lines of docstrings of the standard library, one a line."""
    found = set()
    for module in _modules():
        for node in ast.walk(ast.parse(module)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                text = ast.get_docstring(node)
                if text and text.isascii():
                    found.add(text.strip().splitlines()[0])
    return _lines(found)


def zones() -> str:
    """Names of time zones, 600 lines."""
    return _lines(zoneinfo.available_timezones())


def sums() -> str:
    """20,000 lines such as 507+38=545: counts cannot add."""
    draw = random.Random(0)
    pairs = {(draw.randrange(1000), draw.randrange(1000)) for _ in range(20_000)}
    return _lines({f"{a}+{b}={a + b}" for a, b in pairs})


def _lines(texts: set[str]) -> str:
    return "\n".join(sorted(texts)) + "\n"


TEXTS: dict[str, Callable[[], str]] = {
    function.__name__: function
    for function in (
        docs, source, library, licenses, identifiers, characters, sentences, zones, sums,
    )
}  # fmt: skip


def write(name: str, folder: Path) -> str:
    """The corpus to give to `hornbook train`: a file in the folder, or the name of a known corpus."""
    if name not in TEXTS:
        return name
    path = folder / f"{name}.txt"
    path.write_text(TEXTS[name](), encoding="utf-8", newline="\n")
    return str(path)


def main() -> None:
    """Writes the texts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=list(TEXTS))
    arguments = parser.parse_args()
    for name in arguments.names:
        print(write(name, arguments.folder))


if __name__ == "__main__":
    main()
