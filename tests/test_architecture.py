"""The package is built as docs/architecture.md says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "masksem_graph"


def rooms() -> list[set[str]]:
    """The rooms of the table, from top to bottom."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (`[^|]*`) \|", text, flags=re.MULTILINE)
    return [set(re.findall(r"`(\w+)/?`", row)) for row in rows]


def imported(file: Path) -> set[str]:
    """Rooms that a file imports from, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("masksem_graph."):
            found.add(str(node.module).split(".")[1])
    return found


def test_every_room_is_in_the_table() -> None:
    there = {path.stem for path in PACKAGE.iterdir() if not path.stem.startswith("_")}
    assert there == set().union(*rooms())


def test_rooms_import_only_from_rooms_above() -> None:
    allowed: set[str] = set()
    faults = []
    for row in rooms():
        allowed |= row
        for room in sorted(row):
            folder = PACKAGE / room
            for file in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]:
                faults += [f"{file.relative_to(ROOT)} imports {name}" for name in sorted(imported(file) - allowed)]
    assert not faults
