"""The walls of the house: sizes, branches, and `docs/architecture.md`.

`lint-imports` checks who imports whom.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from radon.complexity import cc_visit

import vgaemu

PACKAGE = Path(vgaemu.__file__).parent
FILES = {
    path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
}
ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"

MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_COMPLEXITY = 500, 60, 15

#: What is longer or more branched, and why.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
COMPLEX = {
    "pc/cpu/mmu.py:translate": "a walk through three levels of tables, each with its own bits",
}


def functions(text: str) -> dict[str, ast.FunctionDef]:
    """Functions and methods by name, with their class's."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            methods = [child for child in node.body if isinstance(child, ast.FunctionDef)]
            found |= {f"{node.name}.{method.name}": method for method in methods}
    return found


def test_a_file_is_one_room() -> None:
    long = {name for name, text in FILES.items() if text.count("\n") > MAX_FILE_LINES}
    assert long == LONG_FILES.keys()


def test_functions_are_short() -> None:
    long = {
        f"{file}:{name}"
        for file, text in FILES.items()
        for name, node in functions(text).items()
        if (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
    }
    assert long == LONG_FUNCTIONS.keys()


def test_functions_have_few_branches() -> None:
    complex_ = {
        f"{file}:{block.name}"
        for file, text in FILES.items()
        for whole in cc_visit(text)
        for block in (getattr(whole, "methods", None) or [whole])
        if block.complexity > MAX_COMPLEXITY
    }
    assert complex_ == COMPLEX.keys()


def test_every_room_has_its_floor() -> None:
    text = ARCHITECTURE.read_text("utf-8")
    table = text[: text.index("Ten journeys")]
    rooms = {name.partition("/")[0] + "/" * ("/" in name) for name in FILES}
    of_pc = {
        name.removesuffix(".py").partition("/")[0] + "/" * ("/" in name)
        for name in (file.removeprefix("pc/") for file in FILES if file.startswith("pc/"))
    }
    named = {room for room in rooms | of_pc if "__" not in room}
    assert {room for room in named if f"`{room}`" not in table} == set()


def test_every_stop_of_a_journey_exists() -> None:
    stops = re.findall(r"^\d+\. `([\w/]+\.py)` `([\w.]+)`", ARCHITECTURE.read_text("utf-8"), re.M)
    assert len(stops) > 40
    gone = [
        stop for stop in stops if stop[0] not in FILES or stop[1] not in functions(FILES[stop[0]])
    ]
    assert not gone
