"""A command line with a whole configuration, sorted, and its ``--help``; nothing heavy is imported for it."""

import difflib
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from masksem_graph import trust
from masksem_graph.compose import CLASS_PATH, GROUPS, Composed, compose, group_names, parts_in
from masksem_graph.declared import Field, declared_fields
from masksem_graph.errors import InputError, meant
from masksem_graph.plain_yaml import parse_yaml

HOMES = {name: group.home for name, group in GROUPS.items() if group.home}
HOMES["device"] = "masksem_graph.training.devices.DeviceConfig"


@dataclass(frozen=True)
class Options:
    """What a command line says: groups of `GROUPS`, files of ``--config``, and values by dotted field."""

    groups: dict[str, Any]
    files: tuple[str, ...]
    overrides: dict[str, Any]

    def compose(self, **options: Any) -> Composed:
        """The configuration; classes that the user names in the options themselves are allowed to be imported."""
        composed = compose(self.groups, self.files, self.overrides, **options)
        data = composed.fields.get("data")
        format = str(data.get("format")) if isinstance(data, Mapping) else ""
        known = {part[CLASS_PATH] for _, part in parts_in(composed.fields)} | ({format} if "." in format else set())
        for name, value in (*self.groups.items(), *self.overrides.items()):
            value = value.get(CLASS_PATH) if isinstance(value, Mapping) else value
            if isinstance(value, str) and value in known:
                trust.allow_class(value, f"--{name}")
        return composed


def read_options(argv: Sequence[str], root: str, groups: Sequence[str]) -> Options:
    """Sort a command line of options with one value each: ``groups``, and fields of the dataclass ``root``, a dotted path."""
    found = Options({}, (), {})
    files: list[str] = []
    for name, text in _pairs(argv, root):
        if name == "config":
            files.append(text)
            continue
        _check_option(name, root, groups)
        target = found.groups if name in groups else found.overrides
        value = text if name in groups else _field_value(text, field_type(root, name))
        name = name.removesuffix(f".{CLASS_PATH}")
        if name in target and target[name] != value:
            raise InputError(f"--{name}: given twice, with {target[name]!r} and {value!r}")
        target[name] = value
    return Options(found.groups, tuple(files), found.overrides)


def _pairs(argv: Sequence[str], root: str) -> Iterator[tuple[str, str]]:
    rest = list(argv)
    while rest:
        option = rest.pop(0)
        if not option.startswith("--") or option == "--":
            raise InputError(f"{option}: expected an option, such as --{next(iter(GROUPS))} NAME or --train.epochs 100")
        name, equals, text = option[2:].partition("=")
        if name == "checkpoint":
            raise InputError("--checkpoint: is called --run now")
        if not equals:
            if rest and not rest[0].startswith("--"):
                text = rest.pop(0)
            elif field_type(root, name) == "bool":
                text = "true"
            else:
                raise InputError(f"--{name}: expected a value")
        yield name, text


def _check_option(name: str, root: str, groups: Sequence[str]) -> None:
    first, _, inner = name.partition(".")
    sections = [*groups, *(field_name for field_name in declared_fields(root) if field_name not in groups)]
    if first not in sections or (inner and first in GROUPS and GROUPS[first].path != (first,)):
        last = name.rpartition(".")[2]
        inside = [f"{one}.{last}" for one in sections if one in GROUPS and last in _fields_of(one)]
        if inner and first in GROUPS:
            inside = [".".join((*GROUPS[first].path, inner))]
        near = inside or difflib.get_close_matches(name, [*sections, "config", "trust"], n=1)
        raise InputError(f"--{name}: no such option" + (f"; did you mean --{near[0]}?" if near else ""))
    key = inner.partition(".")[0]
    if key and first in HOMES and key not in _fields_of(first):
        raise InputError(f"--{name}: no such field of {first}; {meant(key, _fields_of(first), prefix=f'--{first}.')}")


def _fields_of(section: str) -> Iterable[str]:
    return declared_fields(HOMES[section]) if section in HOMES else ()


def field_type(root: str, name: str) -> str | None:
    """The annotation of a field, or of a section's field; None further inside."""
    first, _, inner = name.partition(".")
    home, key = (HOMES.get(first), inner) if inner else (root, first)
    declared = declared_fields(home).get(key) if home else None
    return declared.type if declared else None


def as_value(text: str, kind: str | None = None) -> Any:
    """An option's text as the value that it means: text where the field takes text, else read as YAML."""
    if kind == "str" or (kind == "str | None" and text not in ("null", "None")):
        return text
    try:
        return parse_yaml(text, "option")
    except InputError:
        return text


def _field_value(text: str, kind: str | None) -> Any:
    """As `as_value`; a dotted path where the field takes a class is one."""
    value = as_value(text, kind)
    kinds = [one.strip() for one in (kind or "").split("|")]
    takes_a_class = any(one[:1].isupper() and "[" not in one and one != "None" for one in kinds)
    dotted_path = isinstance(value, str) and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", value)
    return {CLASS_PATH: value} if takes_a_class and dotted_path else value


def print_help(about: str | None, example: str, root: str, groups: Sequence[str]) -> NoReturn:
    """Print the groups with their shipped names, and every field of every section of the dataclass ``root``; exit."""
    print(f"usage: masksem-graph {example.split()[0]} [--GROUP NAME] [--SECTION.FIELD VALUE] ...\n\n{about}\n")
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
