"""The import graph is a DAG, between packages and between files, and what an import costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import hornbook

ROOT = Path(hornbook.__file__).parent
PAGE = ROOT.parent.parent / "docs" / "architecture.md"
TESTS = Path(__file__).parent
MOST_LINES = 400

# top to bottom: a package (or module) imports from those after it, never from those before it
LAYERS = (
    "__main__", "cli", "lessons", "__init__", "notes", "serve", "api", "run", "experiments", "export",
    "figures", "training", "planning", "engine", "pretrained", "runs", "metrics", "generate", "kernels",
    "parallel", "optim", "models", "layers", "data", "tokenizers", "spelling", "config", "files",
    "process", "arguments", "table", "machine", "autograd", "errors", "heartbeat", "stages", "visible",
    "version",
)  # fmt: skip


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name; a package's own file is `name.__init__`.

    The texts of the lessons are no modules, but scripts that use the package as anybody does.
    """
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        if path.parent == ROOT / "lessons" / "texts":
            continue
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts)] = path
    return found


MODULES = modules()


def resolve(dotted: str) -> str | None:
    """The module that `hornbook.dotted` names; of an attribute, the module that holds it."""
    if not dotted:
        return "__init__"
    for name in (dotted, f"{dotted}.__init__"):
        if name in MODULES:
            return name
    return None


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it: in functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            dotted = [f"{base}.{alias.name}" for alias in node.names]
            if base != "hornbook" and not base.startswith("hornbook."):
                continue
        else:
            continue
        for name in dotted:
            first, _, rest = name.partition(".")
            if first == "hornbook":
                yield resolve(rest) or resolve(rest.rpartition(".")[0]) or "__init__"


GRAPH = {name: {m for m in imports(path) if m != name} for name, path in MODULES.items()}


def layer(module: str) -> str:
    return module.split(".")[0]


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """A cycle of the graph, or nothing."""
    state: dict[str, int] = {}
    trail: list[str] = []

    def visit(node: str) -> list[str]:
        state[node] = 1
        trail.append(node)
        for target in sorted(graph[node]):
            if state.get(target) == 1:
                return [*trail[trail.index(target) :], target]
            if target not in state and (found := visit(target)):
                return found
        state[node] = 2
        trail.pop()
        return []

    for node in graph:
        if node not in state and (found := visit(node)):
            return found
    return []


def test_no_cycle_between_files() -> None:
    # a package's own file runs before any file in it, so importing the file imports both
    graph = {name: set(targets) for name, targets in GRAPH.items()}
    graph["autograd.node"].remove("autograd.drawing")  # a node draws itself in a notebook: one edge
    for name, targets in graph.items():
        packages = {f"{target.rpartition('.')[0]}.__init__" for target in targets}
        targets |= {p for p in packages & set(MODULES) if layer(p) != layer(name)}
    assert cycle(graph) == []


def test_no_cycle_between_packages() -> None:
    graph: dict[str, set[str]] = {name: set() for name in {layer(module) for module in MODULES}}
    for module, targets in GRAPH.items():
        graph[layer(module)] |= {layer(t) for t in targets} - {layer(module)}
    assert cycle(graph) == []


@pytest.mark.parametrize("module", list(MODULES))
def test_imports_point_downwards(module: str) -> None:
    own = LAYERS.index(layer(module))
    upwards = {t for t in GRAPH[module] if LAYERS.index(layer(t)) < own}
    assert not upwards, f"{module} imports {sorted(upwards)}, which stand above it"


@pytest.mark.parametrize("module", list(MODULES))
def test_files_are_short(module: str) -> None:
    lines = len(MODULES[module].read_text("utf-8").splitlines())
    assert lines <= MOST_LINES, f"{module} has {lines} lines; ask what two things it is"


def test_matplotlib_is_imported_by_figures_alone() -> None:
    for module, path in MODULES.items():
        if layer(module) != "figures":
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
                assert not any(name.startswith("matplotlib") for name in names), module


def test_no_model_imports_another() -> None:
    shared = {
        "base",
        "cached",
        "kneser_ney",
        "registry",
    }  # a mixture finds its components in the registry
    own = {m for m in MODULES if layer(m) == "models" and m.split(".")[1] not in shared}
    for module in own - {"models.__init__"}:
        assert not GRAPH[module] & own - {module}, f"{module} imports another model"


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


def test_the_page_lists_every_package_in_the_order_of_the_layers() -> None:
    listed = re.findall(r"^(\w+)(?:/|\.py) ", PAGE.read_text("utf-8"), re.M)
    assert listed == [name for name in LAYERS if name not in ("__init__", "__main__")]
    assert {layer(module) for module in MODULES} == set(LAYERS)


@pytest.mark.parametrize("module", [m for m in MODULES if m.split(".")[-1][0] != "_"])
def test_every_module_that_does_something_has_a_test_file(module: str) -> None:
    path = MODULES[module].relative_to(ROOT)
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    if any(isinstance(node, ast.FunctionDef) for node in ast.walk(tree)):
        assert (TESTS / path.parent / f"test_{path.name}").exists()


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
        ("import hornbook.api", {"matplotlib", "rich"}),
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
