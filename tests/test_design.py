"""The floor plan of docs/design.md, held against the code: imports run downward only."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLAN = (ROOT / "docs/design.md").read_text().split("## The floor plan")[1]
HEAVY = {"keras", "tensorflow"}


def floors() -> dict[str, tuple[int, int]]:
    """Each module's floor, and its line on the plan (a line may import the lines below it)."""
    places: dict[str, tuple[int, int]] = {}
    floor = 5
    for line_number, line in enumerate(PLAN.splitlines()):
        found = re.match(r"    (\d| )  ((?:[a-z_]+/?(?:, )?)+) {2,}|    (\d| )  ([a-z_]+/?) ", line)
        if not found:
            continue
        floor = int(found[1] or found[3]) if (found[1] or found[3]).strip() else floor
        for name in re.findall(r"[a-z_]+", found[2] or found[4]):
            places[name] = (floor, line_number)
    return places


FLOORS = floors()
MODULES = {
    path.relative_to(ROOT / "textgen").parts[0].removesuffix(".py"): None
    for path in (ROOT / "textgen").rglob("*.py")
    if not path.name.startswith("__") or path.parent.name != "textgen"
}


def imports(module: str) -> set[str]:
    """What a module, or all modules of a package, imports: `textgen.x` as x, else the root."""
    path = ROOT / "textgen" / module
    files = list(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    found: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "textgen":
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                parts = node.module.split(".")
                found.add(parts[1] if parts[0] == "textgen" else parts[0])
            elif isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
    return found - {module}


def test_every_module_has_a_floor() -> None:
    assert set(MODULES) - set(FLOORS) == set()
    assert set(FLOORS) - set(MODULES) == set()


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downward_only(module: str) -> None:
    floor, line = FLOORS[module]
    for other in imports(module) & set(FLOORS):
        other_floor, other_line = FLOORS[other]
        below = other_floor < floor or (other_floor == floor and other_line >= line)
        assert below, f"{module} (floor {floor}) imports {other} (floor {other_floor})"


@pytest.mark.parametrize("module", MODULES)
def test_only_the_machine_learning_floors_import_keras(module: str) -> None:
    if FLOORS[module][0] not in (3, 4):
        assert not imports(module) & HEAVY
