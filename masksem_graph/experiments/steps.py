"""What recipes and ablations are made of: a step, the command that it is, and the checks of its options."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from masksem_graph.compose import PACKAGES
from masksem_graph.errors import InputError, meant
from masksem_graph.plain_yaml import parse_yaml, read_yaml

Command = Literal["prepare", "train", "evaluate", "table"]
COMMANDS: tuple[Command, ...] = get_args(Command)
SEED = {"train": "train.seed", "evaluate": "seed"}  # command -> its option for the seed
EPOCHS = "train.epochs"
FORMATS = {".md": "markdown", ".tex": "latex"}  # ending of a table's file -> ``--format``; else the terminal's
DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
OPTION = re.compile(r"[A-Za-z_][\w.]*")
GIVEN_BY_THE_PLANNER = {"output", "overwrite", "trust", "seed", "train.seed"}


@dataclass(frozen=True)
class Step:
    """One process.

    Args:
        name: its folder (for a table, its file) below the output.
        command: of ``masksem-graph``.
        options: option -> value.
        places: option -> the steps whose folders it names; the empty name is for positional arguments.
        row, column: where its figures stand in the summary.
        seed: of everything random.
        missing: the option for data that was not given; the step is left out.
    """

    name: str
    command: Command
    options: dict[str, Any] = field(default_factory=dict)
    places: dict[str, tuple[str, ...]] = field(default_factory=dict)
    row: tuple[str, ...] = ()
    column: str = ""
    seed: int = 0
    missing: str | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the steps that it reads from."""
        return tuple(name for steps in self.places.values() for name in steps)


def arguments(step: Step, output: Path) -> list[str]:
    """The arguments of ``masksem-graph`` for a step of an experiment in the folder ``output``."""
    options = dict(step.options)
    words: list[str] = [step.command]
    if step.command == "prepare":
        words += [as_text(options.pop("format")), as_text(options.pop("source", "SOURCE"))]
    for name, steps in step.places.items():
        words += [f"--{name}"] if name else []
        words += [str(output / other) for other in steps]
    if step.command == "table":
        options.setdefault("format", FORMATS.get(Path(step.name).suffix, "terminal"))
    for name, value in options.items():
        words += [f"--{name}", as_text(value)]
    return [*words, "--output", str(output / step.name)]


def as_text(value: Any) -> str:
    """A value as it is written on a command line."""
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def mapping(source: str, where: str, found: Any, known: Iterable[str] = ()) -> dict[str, Any]:
    """A mapping of a file as it is, refused where it is none or has other fields than the ``known`` ones, if any are."""
    known = sorted(known)
    if not isinstance(found, dict):
        raise InputError(f"{source}: {where}: expected a mapping of {', '.join(known) or 'names'}, found {found!r}")
    for name in map(str, found):
        if known and name not in known:
            raise InputError(f"{source}: {name}: no such field; {meant(name, known)}")
    return {str(name): value for name, value in found.items()}


def check_options(source: str, where: str, found: Any, trust: Sequence[str]) -> dict[str, Any]:
    """Options of a step, refused where they would run code that the user did not ask for. Nothing is imported here.

    Args:
        source, where: the file and the field, for the error.
        found: option -> value.
        trust: packages beside `PACKAGES` whose classes may be named.
    """
    options = mapping(source, where, found)
    for name, value in options.items():
        place = f"{source}: {where}.{name}"
        if name in GIVEN_BY_THE_PLANNER:
            raise InputError(f"{place}: the planner gives this option; expected it to be left out")
        if not OPTION.fullmatch(name):
            raise InputError(f"{source}: {where}: expected the name of an option, such as train.lr, found {name!r}")
        if isinstance(value, str) and re.match(r"-(?!\.?\d)", value):
            raise InputError(f"{place}: expected a value, found {value!r}")
        if foreign := _foreign_class(value, (*PACKAGES, *trust)):
            add = f"add --trust {foreign.partition('.')[0]} (write a file as ./NAME.yaml)"
            raise InputError(f"{place}: {foreign} is not a class of {' or '.join(PACKAGES)}; to run it all the same, {add}")
    return options


def _foreign_class(value: Any, allowed: Sequence[str]) -> str | None:
    """The first dotted name in a value, or in the YAML file that it names, that is of no allowed package."""
    if isinstance(value, Mapping | list):
        parts = value.values() if isinstance(value, Mapping) else value
        return next((found for part in parts if (found := _foreign_class(part, allowed))), None)
    if not isinstance(value, str):
        return None
    if DOTTED.fullmatch(value.strip()):
        return None if any(f"{value.strip()}.".startswith(f"{package}.") for package in allowed) else value.strip()
    if value.endswith((".yaml", ".yml")) and os.path.isfile(value):
        return _foreign_class(read_yaml(Path(value)), allowed)
    try:
        inside = parse_yaml(value, "option")  # as the step's own command reads it: without aliases, so never endless
    except InputError:
        return None
    return None if inside == value else _foreign_class(inside, allowed)
