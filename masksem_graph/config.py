"""Configurations with their types checked and their parts made (jsonargparse)."""

import difflib
import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args, get_type_hints

import jsonargparse

from masksem_graph import trust
from masksem_graph.compose import CLASS_PATH, INIT_ARGS, Composed, dotted, flatten, is_part, parts_in, plain_copy
from masksem_graph.errors import InputError, meant, shown
from masksem_graph.options import field_type
from masksem_graph.plain_yaml import parse_yaml

Config = TypeVar("Config")

KINDS = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "a text", "NoneType": "null"}
KINDS |= {"dict": "a mapping", "list": "a list"}
A_FACTORY = r"Type <class '\S+?(\w+)Factory'> expects a function or a callable class: "
PLAINLY = {
    r"^--([\w.]+): --(\w+):": r"--\1.\2:",
    A_FACTORY + r"(?:Dict|Expected an) .*?, but got (.*?)(?:\. Got .*)?$": r"expected a class of \1, found \2",
    A_FACTORY + r"Expected '(\S+)' to be a subclass of .*": r"expected a class of \1, found \2",
    r"Import path (\S+) does not correspond to a subclass of (\S+)": r"expected a class of \2, found \1",
    r"Expected an instantiatable class, but (\S+) is abstract": r"expected a class that can be made, found the abstract \1",
    r"Type <class \S+> expects .*? class: module '(\S+)' has no attribute '(\w+)'.*": r"\1 has no class \2",
    r"Group '(\w+)' does not accept option '(\S+)'": r"--\1.\2: no such option",
    r"Option '(\S+)' is not accepted": r"no such option: \1",
}
"""What jsonargparse says, and what we say."""


class Parser(jsonargparse.ArgumentParser):
    """An argument parser whose faults are `InputError`, one line each."""

    def __init__(self, **options: Any) -> None:
        # An abbreviated option would be a guess at what the user means.
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        line = " ".join(message.split())
        line = re.sub(r"Parser key \"([^\"]+)\":", r"--\1:", line)
        line = re.sub(r"\.? Got value: Namespace\(.*$", "", line)
        line = _plainly(line)
        if missing := re.search(r"arguments are required: ([\w., ]+)$", line):
            places = {action.dest for action in self._actions if not action.option_strings}
            typed = (name if name in places or name.startswith("-") else f"--{name}" for name in missing[1].split(", "))
            told = ", ".join(typed)
            hint = "; --data NAME gives them" if told == "--data.format, --data.split" else ""
            raise InputError(f"{told}: required, but not given{hint}") from None
        if denied := re.search(r"Importing '([\w.]+)' is not allowed", line):
            raise InputError(f"{line.partition(':')[0]}: {trust.refusal(denied[1])}") from None
        raise InputError(line + self._suggestion(line)) from None

    def _suggestion(self, line: str) -> str:
        if "did you mean" in line:
            return ""
        unknown = r"(?:unrecognized arguments?: --|no such option: )([\w.]+)|^--([\w.]+): no such option$"
        found = re.search(unknown, line) or re.search(r"[Kk]ey '([\w.]+)'", line)
        known = [option[2:] for action in self._actions for option in action.option_strings if option.startswith("--")]
        near = difflib.get_close_matches(next(filter(None, found.groups())), known, n=1) if found else []
        return f" (did you mean --{near[0]}?)" if near else ""

    def parse_args(self, args: Sequence[str] | None = None, **options: Any) -> Any:  # type: ignore[override]
        try:
            return super().parse_args(args, **options)
        except ValueError as error:
            if isinstance(error, InputError) or "fail_untyped" not in str(error):
                raise
            # A part of the user's own, whose constructor says of an argument not what it takes.
            raise InputError(str(error).partition(", ")[2]) from None


def _plainly(line: str) -> str:
    """Jsonargparse's line in this package's words."""
    line = re.sub(r" Subclass types expect one of:.*?\(implicit class_path\)", "", line)
    told = r"Does not validate against any of the Union subtypes .*? Errors: - (.*?) Given value type: .*? Given value: "
    if union := re.search(told, line):
        wanted = [re.fullmatch(r"(?:Expected|Not) a (.+?)(?:\. Got value: .*)?", one) for one in union[1].split(" - ")]
        either = " or ".join(one[1] for one in wanted if one)
        one_alone = next((one for one, known in zip(union[1].split(" - "), wanted, strict=True) if not known), "")
        line = line[: union.start()] + (one_alone or f"Expected a {either}. Got value: {line[union.end() :]}")
    line = re.sub(
        r"(?:Expected|Not) a (.+?)\. Got value: ?", lambda told: f"expected {_kinds(told[1])}, found ", f"{line} "
    ).strip()
    for theirs, ours in PLAINLY.items():
        line = re.sub(theirs, ours, line)
    return line


def _kinds(told: str) -> str:
    told = re.sub(r"typing\.Literal\[(.*?)\]", lambda one: f"one of {one[1].replace(chr(39), '')}", told)
    told = re.sub(r"valid subclass of (\w+)", r"a class of \1", told)
    return re.sub(r"<class '(\w+)'>", lambda one: KINDS.get(one[1], one[1]), told)


@cache
def _parser(kind: type) -> Parser:
    """Made once, with the parsers of the parts that it takes."""
    parser = Parser(prog=kind.__name__)
    parser.add_class_arguments(kind, fail_untyped=True)
    return parser


def _made(kind: type[Config], parser: Parser, parsed: Any) -> Config:
    try:
        made = vars(parser.instantiate(parsed))
    except (TypeError, ZeroDivisionError) as error:  # a part that does not check what it is given
        raise InputError(" ".join(str(error).split())) from None
    return kind(**{name: value for name, value in made.items() if name != "config"})


def parse_mapping(kind: type[Config], fields: Mapping[str, Any], *, source: str | os.PathLike[str]) -> Config:
    """A dataclass from plain data, parts in it as ``class_path`` and ``init_args``; a fault's line names the ``source``."""
    parser = _parser(kind)  # type: ignore[arg-type]
    try:
        _check_shapes(fields, kind)
        return _made(kind, parser, parser.parse_object(plain_copy(fields)))
    except InputError as error:
        raise InputError(f"{Path(source)}: {str(error).removeprefix('--')}") from None


def typed(kind: type[Config], composed: Composed, *, complete: Callable[[Composed], None]) -> tuple[Config, dict[str, Any]]:
    """A dataclass with its types checked and its parts made, and the same as plain data with every default filled in.

    ``complete`` adds what follows from several fields together, before the types are checked. The line of an `InputError`
    names the file or the option that set the field.
    """
    parser = _parser(kind)  # type: ignore[arg-type]
    try:
        complete(composed)
        if is_part(one := composed.fields.get("augment")):  # a single class, by its dotted path
            composed.fields["augment"] = [one]
        _check_shapes(composed.fields, kind)
        _check_values(composed.fields, kind)
        parsed = parser.parse_object(plain_copy(composed.fields))
        return _made(kind, parser, parsed), parse_yaml(parser.dump(parsed), "the configuration")
    except InputError as error:
        raise InputError(_located(str(error), composed)) from None
    except ValueError as error:  # a part of the user's own, whose constructor does not say what an argument takes
        raise InputError(" ".join(str(error).split())) from None


def _check_shapes(fields: Any, kind: type | None = None, name: str = "") -> None:
    """Refuse what jsonargparse tells of in Python's words: a group that has no fields, a part whose class is no text."""
    wanted: list[tuple[str, type, str]] = []
    if isinstance(fields, Mapping) and CLASS_PATH in fields:
        wanted = [(CLASS_PATH, str, "the dotted path of a class"), (INIT_ARGS, Mapping, "options by their names")]
    groups = _groups(kind) if kind else {}
    for key, type_, told in (*wanted, *((group, Mapping, f"the fields of {group}") for group in groups)):
        if isinstance(fields, Mapping) and not isinstance(fields.get(key), type_ | None):
            raise InputError(f"--{dotted((name, key))}: expected {told}, found {shown(fields[key])}")
    for key, value in fields.items() if isinstance(fields, Mapping) else ():
        _check_shapes(value, groups.get(key), dotted((name, str(key))))
    for value in fields if isinstance(fields, list) else ():
        _check_shapes(value, None, name)


@cache
def _groups(kind: type) -> dict[str, type]:
    """The fields of a dataclass that are dataclasses."""
    return {name: hint for name, hint in get_type_hints(kind).items() if isinstance(hint, type) and is_dataclass(hint)}


def _check_values(fields: Mapping[str, Any], kind: type) -> None:
    """What jsonargparse lets pass: a field that takes no null but has one, and numbers beyond 64 bits."""
    for name, value in flatten(fields).items():
        declared = field_type(f"{kind.__module__}.{kind.__qualname__}", name)
        if value is None and declared and "None" not in declared and declared != "Any":
            raise InputError(f"{name}: expected {declared}, found null")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InputError(f"{name}: expected a number of at most 64 bits, found {value}")
    for field, part in parts_in(fields):
        if not trust.is_allowed(part[CLASS_PATH]):
            continue  # refused in a moment, by its field's name
        takes = inspect.signature(trust.import_class(part[CLASS_PATH], object, field=f"--{field}")).parameters
        known = [name for name, one in takes.items() if one.kind is one.KEYWORD_ONLY]
        for name, value in (part.get(INIT_ARGS) or {}).items():
            if known and name not in takes and not any(one.kind is one.VAR_KEYWORD for one in takes.values()):
                raise InputError(f"--{field}.{name}: no such option of {part[CLASS_PATH]}; {meant(name, known)}")
            wanted: Any = takes[name].annotation if name in takes else "None"
            if value is None and "None" not in str(wanted) and type(None) not in get_args(wanted):
                told = wanted if isinstance(wanted, str) else inspect.formatannotation(wanted)
                raise InputError(f"--{field}.{name}: expected {told} for {part[CLASS_PATH]}, found null")


def _located(line: str, composed: Composed) -> str:
    """An error line with the file or the option that set the field which it names."""
    for found in re.finditer(r"(?:--|')?\b([a-z_]\w*(?:\.\w+)*)", line):
        name = found[1].replace(f".{INIT_ARGS}", "")
        if name.partition(".")[0] in composed.fields and (source := composed.source_of(name)):
            return line if source.startswith("--") else f"{source}: {line}"
    return line
