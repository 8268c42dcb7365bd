"""The package is built as docs/architecture.md says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "masksem_graph"


def rows() -> list[set[str]]:
    """The rooms of the table, from top to bottom: files and folders of the package, and modules that stand apart."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    (table,) = re.findall(r"^\| room \|.*\n\| --- .*\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    return [set(re.findall(r"`([\w/]+?)/?`", line.split("|")[1])) for line in table.splitlines()]


ROOMS = set().union(*rows())


def room_of(module: str) -> str:
    """The room of a module, given by its path in the package: ``training/run``, or ``training``."""
    return module if module in ROOMS else module.split("/")[0]


def imported(file: Path) -> Iterator[str]:
    """Modules of the package that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # A name that is imported may be a module itself.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ("/".join(name.split(".")[1:3]) for name in names if name.startswith("masksem_graph."))


def test_the_table_has_every_room_and_no_other() -> None:
    there = {path.stem for path in PACKAGE.iterdir() if not path.stem.startswith("_")}
    apart = {room for room in ROOMS if "/" in room}
    assert there | apart == ROOMS
    assert all((PACKAGE / room).with_suffix(".py").is_file() for room in apart)


def test_rooms_import_only_from_rooms_above() -> None:
    allowed: set[str] = set()
    faults = []
    files = {str(file.relative_to(PACKAGE).with_suffix("")): file for file in PACKAGE.rglob("*.py")}
    for row in rows():
        allowed |= row
        for module, file in sorted(files.items()):
            if room_of(module) in row:
                below = {room_of(name) for name in imported(file)} & ROOMS - allowed
                faults += [f"{file.relative_to(ROOT)} imports {room}" for room in sorted(below)]
    assert not faults
