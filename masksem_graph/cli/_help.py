"""What ``--help`` of a command with a whole configuration prints, at once: nothing heavy is imported for it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NoReturn

from masksem_graph.compose import GROUPS, group_names
from masksem_graph.declared import Field, declared_fields
from masksem_graph.options import HOMES

WIDTH = 110


def print_help(command: str, about: str | None, example: str, root: str, groups: Sequence[str]) -> NoReturn:
    """Print the groups with their shipped names, and every field of every section.

    Args:
        command: its name.
        about: what it does.
        example: arguments that work.
        root: the dataclass of the configuration, by its dotted path.
        groups: the groups that the command takes.

    Raises:
        SystemExit: always, as argparse does.
    """
    print(f"usage: masksem-graph {command} [--GROUP NAME] [--SECTION.FIELD VALUE] ...\n\n{about}\n")
    print(f"  masksem-graph {example}\n")
    print("Choices, in any order: the name of a shipped file, or the path of your own")
    _print("--config FILE", "a whole experiment, made of sections; weaker than all other options")
    for name in groups:
        shipped = ", ".join(group_names(name))
        _print(f"--{name} NAME", f"{GROUPS[name].help}{f': {shipped}' if shipped else ''}")
    _print("--trust MODULE", "import parts from this module too, where a file names them")
    print("\nFields; they win over files")
    for field in declared_fields(root).values():
        if field.name not in HOMES and field.name not in groups:
            _print_field(f"--{field.name}", field)
    for name, home in HOMES.items():
        if name in declared_fields(root):
            print()
            for field in declared_fields(home).values():
                _print_field(f"--{name}.{field.name}", field)
    raise SystemExit(0)


def _print_field(option: str, field: Field) -> None:
    default = "" if field.default is None else f", default {field.default}"
    _print(option, f"{field.help} ({field.type}{default})")


def _print(option: str, text: str) -> None:
    lines = textwrap.wrap(text, WIDTH - 32) or [""]
    print(f"  {option:<29} {lines[0]}" if len(option) < 30 else f"  {option}\n{'':32}{lines[0]}")
    for line in lines[1:]:
        print(f"{'':32}{line}")
