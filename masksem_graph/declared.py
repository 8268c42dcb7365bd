"""The fields of a dataclass as its source declares them, read without importing it: importing torch takes seconds."""

import ast
import re
from functools import cache
from typing import NamedTuple

from masksem_graph.files import PACKAGE


class Field(NamedTuple):
    """A field of a dataclass: annotation and default as written, None where there is none, and its line under ``Args``."""

    name: str
    type: str
    default: str | None
    help: str


@cache
def declared_fields(path: str) -> dict[str, Field]:
    """The fields, in order, of a dataclass such as ``masksem_graph.data.config.DataConfig``."""
    module, _, name = path.rpartition(".")
    source = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    kind = next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name)
    help_lines = _help(ast.get_docstring(kind) or "")
    found = {}
    for node in kind.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            field = node.target.id
            default = None if node.value is None else _written(node.value)
            found[field] = Field(field, ast.unparse(node.annotation), default, help_lines.get(field, ""))
    return found


def _written(default: ast.expr) -> str:
    """A default as people read it: ``field(default_factory=dict)`` is an empty value."""
    text = ast.unparse(default)
    made = re.fullmatch(r"field\(default_factory=(.*)\)", text)
    return text.strip("'\"") if made is None else {"dict": "{}", "list": "[]"}.get(made[1], "its own defaults")


def _help(docstring: str) -> dict[str, str]:
    """The descriptions under ``Args``, by name."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in docstring.partition("Args:")[2].splitlines():
        if started := re.match(r"    (\w+(?:, \w+)*): (.*)", line):
            names = started[1].split(", ")
            found |= dict.fromkeys(names, started[2])
        elif line.startswith("        ") and names:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        elif line.strip():
            break
    return found
