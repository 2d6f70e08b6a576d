"""Coverage-guided fuzzing of run directories: `make fuzz`, or python -m tests.fuzz.guided SECONDS.

With atheris (pip install 'hornbook[fuzz]'); a finding is printed with the bytes that provoke it, and
is kept as a file in tests/fuzz/findings once it is mended.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["hornbook"]):
    from tests.fuzz.target import FILES, Target, mutated, rewritten


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3600
    target = Target(Path(tempfile.mkdtemp()))

    def one(data: bytes) -> None:
        if len(data) < 2:
            return
        name = FILES[data[0] % len(FILES)]
        kind, rest = data[1] % 3, data[2:]
        rng = random.Random(rest)
        raw = target.whole[name]
        made = (rest, mutated(raw, rng), rewritten(raw, rng))[kind]
        try:
            target.read(name, made)
        except BaseException:
            kept = Path(__file__).parent / "findings" / f"{name.replace('/', '+')}@found"
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(made)
            print(f"kept as {kept}", file=sys.stderr)
            raise

    options = [f"-max_total_time={seconds}", "-rss_limit_mb=4096", "-timeout=20", "-max_len=65536"]
    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
