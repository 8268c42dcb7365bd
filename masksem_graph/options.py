"""A command line, sorted into groups, files and dotted fields; nothing heavy is imported for it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from masksem_graph import trust
from masksem_graph.compose import CLASS_PATH, GROUPS, Composed, compose, parts_in
from masksem_graph.declared import declared_fields
from masksem_graph.errors import InputError
from masksem_graph.plain_yaml import parse_yaml

HOMES = {name: group.home for name, group in GROUPS.items() if group.home} | {
    "device": "masksem_graph.training.devices.DeviceConfig"
}


_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


@dataclass(frozen=True)
class Options:
    """What a command line says, sorted by kind.

    Args:
        groups: `GROUPS` by name.
        files: of ``--config``.
        overrides: by dotted field.
    """

    groups: dict[str, Any]
    files: tuple[str, ...]
    overrides: dict[str, Any]

    def compose(self, **options: Any) -> Composed:
        """The configuration; classes that stand on the command line itself are allowed to be imported."""
        composed = compose(self.groups, self.files, self.overrides, **options)
        allow_given(composed, [*self.groups.values(), *self.overrides.values()])
        return composed


def allow_given(composed: Composed, given: Iterable[Any]) -> None:
    """Trust the classes among what a user has given, on the command line or in Python."""
    named = {part[CLASS_PATH]: None for part in parts_in(composed.fields)}
    data = composed.fields.get("data")
    formats = [data.get("format") if isinstance(data, Mapping) else None]
    for value in given:
        value = value.get(CLASS_PATH) if isinstance(value, Mapping) else value
        if isinstance(value, str) and (value in named or (value in formats and "." in value)):
            trust.allow_class(value, "class_path")


def read_options(argv: Sequence[str], root: str, groups: Sequence[str]) -> Options:
    """Sort a command line; nothing heavy is imported.

    Args:
        argv: options alone, each with one value.
        root: the dataclass whose fields they set, by its dotted path.
        groups: the groups that this command takes.

    Raises:
        InputError: an option that does not exist, that stands twice, or that has no value.
    """
    chosen: dict[str, Any] = {}
    files: list[str] = []
    overrides: dict[str, Any] = {}
    for name, text in _pairs(argv, root):
        if name == "config":
            files.append(text)
        else:
            _check_option(name, root, groups)
            kind = field_type(root, name)
            value: Any = text if name in groups else as_value(text, kind)
            if name not in groups and kind and _names_a_class(kind) and isinstance(value, str) and _DOTTED.fullmatch(value):
                value = {CLASS_PATH: value}
            target = chosen if name in groups else overrides
            name = name.removesuffix(f".{CLASS_PATH}")
            if name in target and target[name] != value:
                raise InputError(f"--{name}: given twice, with {target[name]!r} and {value!r}")
            target[name] = value
    return Options(chosen, tuple(files), overrides)


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
        section_of = [group for group in sections if group in GROUPS and GROUPS[group].home]
        last = name.rpartition(".")[2]
        inside = [f"{group}.{last}" for group in section_of if last in declared_fields(str(GROUPS[group].home))]
        near = inside or difflib.get_close_matches(name, [*sections, "config", "trust"], n=1)
        raise InputError(f"--{name}: no such option" + (f"; did you mean --{near[0]}?" if near else ""))
    home = HOMES.get(first)
    if inner and home and (key := inner.partition(".")[0]) not in declared_fields(home):
        near = difflib.get_close_matches(key, declared_fields(home), n=1)
        hint = f"did you mean --{first}.{near[0]}?" if near else f"expected one of {', '.join(declared_fields(home))}"
        raise InputError(f"--{name}: no such field of {first}; {hint}")


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


def _names_a_class(kind: str) -> bool:
    return any(part.strip()[:1].isupper() and "[" not in part for part in kind.split("|") if part.strip() != "None")
