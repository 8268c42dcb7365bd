"""What ``--help`` of a command with a whole configuration prints, at once: nothing heavy is imported for it."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import NoReturn

from masksem_graph.compose import GROUPS, group_names
from masksem_graph.declared import Field, declared_fields
from masksem_graph.options import HOMES


def print_help(command: str, about: str | None, example: str, root: str, groups: Sequence[str]) -> NoReturn:
    """Print the groups with their shipped names, and every field of every section of the dataclass ``root``; exit."""
    print(f"usage: masksem-graph {command} [--GROUP NAME] [--SECTION.FIELD VALUE] ...\n\n{about}\n")
    print(f"  masksem-graph {example}\n")
    print("Choices, in any order: the name of a shipped file, or the path of your own")
    _print("--config FILE", "a whole experiment, made of sections; weaker than all other options")
    for name in groups:
        shipped = ", ".join(group_names(name))
        _print(f"--{name} NAME", f"{GROUPS[name].help}{f': {shipped}' if shipped else ''}")
    _print("--trust MODULE", "import parts from this module too, where a file names them")
    print("\nFields; they win over files")
    top = declared_fields(root)
    _print_fields("--", [field for field in top.values() if field.name not in HOMES and field.name not in groups])
    for name, home in HOMES.items():
        if name in top:
            print()
            _print_fields(f"--{name}.", declared_fields(home).values())
    raise SystemExit(0)


def _print_fields(prefix: str, fields: Iterable[Field]) -> None:
    for field in fields:
        default = "" if field.default is None else f", default {field.default}"
        _print(prefix + field.name, f"{field.help} ({field.type}{default})")


def _print(option: str, text: str) -> None:
    first, *rest = textwrap.wrap(text, 78) or [""]
    print(f"  {option:<29} {first}" if len(option) < 30 else f"  {option}\n{'':32}{first}")
    for line in rest:
        print(f"{'':32}{line}")
