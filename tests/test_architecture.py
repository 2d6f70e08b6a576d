"""The direction of imports, and what an import costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hornbook

ROOT = Path(hornbook.__file__).parent

# importer -> what it may import, besides itself; a room is a package or module under hornbook
BASE = {"errors", "config", "files"}
READING = BASE | {"tokenizers", "data", "models"}
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "autograd": set(),
    "config": {"errors"},
    "machine": set(),
    "files": {"errors", "machine"},
    "formats": {"errors"},
    "tokenizers": {"errors", "files"},
    "data": BASE | {"tokenizers"},
    "layers": BASE,
    "optim": BASE,
    "recording": set(),
    "models": BASE | {"layers", "recording"},
    "presets": BASE,
    "evaluate": READING,
    "generate": READING,
    "run": READING | {"evaluate", "generate", "diagnostics", "formats", "machine"},
    "training": READING
    | {"evaluate", "generate", "optim", "presets", "run", "diagnostics", "formats", "machine"}
    | {"hornbook", "recording"},
    "diagnostics": READING | {"evaluate", "generate", "run", "layers", "formats"},
    "mixing": BASE | {"diagnostics", "evaluate", "models", "run"},
    "ladder": BASE
    | {"data", "diagnostics", "mixing", "models", "presets", "run", "training"}
    | {"hornbook"},
    "hornbook": {"errors", "run", "training"},  # the public names, loaded on first use
}
EVERYTHING = {*ARROWS, "cli"}
ARROWS |= {"cli": EVERYTHING, "__main__": {"cli"}}


def rooms() -> list[tuple[str, Path]]:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).parts
        name = parts[0].removesuffix(".py")
        found.append(("hornbook" if name == "__init__" else name, path))
    return found


def imported(path: Path) -> set[str]:
    """The rooms that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules = [node.module or ""]
            if node.module == "hornbook":
                modules = [f"hornbook.{a.name}" for a in node.names if (ROOT / a.name).exists()
                           or (ROOT / f"{a.name}.py").exists()] or ["hornbook"]  # fmt: skip
        else:
            continue
        for module in modules:
            first, _, rest = module.partition(".")
            if first == "hornbook":
                names.add(rest.partition(".")[0] or "hornbook")
    return names


@pytest.mark.parametrize(("room", "path"), rooms(), ids=lambda v: getattr(v, "name", v))
def test_imports_run_in_the_direction_of_the_arrows(room: str, path: Path) -> None:
    assert room in ARROWS, f"{room} stands nowhere in docs/architecture.md"
    wrong = imported(path) - ARROWS[room] - {room}
    assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_no_model_imports_another() -> None:
    shared = {
        "base",
        "cached",
        "registry",
        "replayed",
    }  # a mixture finds its components by name, in the registry
    own = {p.stem for p in (ROOT / "models").glob("*.py")} - shared - {"__init__"}
    for name in own:
        tree = ast.parse((ROOT / "models" / f"{name}.py").read_text("utf-8"))
        modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        others = {f"hornbook.models.{other}" for other in own - {name}}
        assert not modules & others, f"models/{name}.py imports another model"


def test_autograd_uses_the_standard_library_only() -> None:
    for path in (ROOT / "autograd").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                first = name.partition(".")[0]
                assert first in sys.stdlib_module_names or name.startswith("hornbook.autograd")


def test_the_page_shows_every_room() -> None:
    page = (ROOT.parent.parent / "docs" / "architecture.md").read_text("utf-8")
    for room in EVERYTHING - {"hornbook"}:
        assert f"{room}.py" in page or f"{room}/" in page, f"{room} is not in docs/architecture.md"
    for room, targets in ARROWS.items():
        if room in ("__main__", "hornbook", "cli") or not targets:
            continue
        line = next((x for x in page.splitlines() if x.startswith(f"{room} -> ")), "")
        shown = set(line.partition(" -> ")[2].split(", "))
        assert shown == targets - {"hornbook"}, f"arrows of {room} in docs/architecture.md"


@pytest.mark.parametrize(
    ("code", "free_of"),
    [
        ("import hornbook", {"torch", "numpy", "pydantic", "rich", "matplotlib"}),
        (
            "from hornbook.cli.main import main; main(['--help'])",
            {"torch", "numpy", "pydantic", "rich", "matplotlib"},
        ),
        ("from hornbook.cli.main import main; main(['models'])", {"torch", "matplotlib"}),
        ("from hornbook.cli.main import main; main(['data'])", {"torch", "matplotlib"}),
        ("from hornbook.cli.main import main; main(['train', 'x', '--step', '3'])", {"torch"}),
        ("import hornbook.training", {"matplotlib", "rich"}),
    ],
)
def test_heavy_libraries_are_loaded_only_where_needed(code: str, free_of: set[str]) -> None:
    program = f"""
import sys
try:
    {code}
finally:
    print("loaded:", *sorted({free_of!r} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "loaded:"
