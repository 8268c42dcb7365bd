"""Configurations with their types checked and their parts made (jsonargparse)."""

import inspect
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from masksem_graph import trust
from masksem_graph.compose import CLASS_PATH, INIT_ARGS, Composed, dotted, flatten, is_part, parts_in, plain_copy
from masksem_graph.errors import InputError, meant, shown
from masksem_graph.options import field_type
from masksem_graph.parser import Parser, in_words, plainly
from masksem_graph.plain_yaml import parse_yaml

Config = TypeVar("Config")


@cache
def _parser(kind: type) -> Parser:
    """Made once, with the parsers of the parts that it takes."""
    parser = Parser(prog=kind.__name__)
    parser.add_class_arguments(kind, fail_untyped=True)
    return parser


def _made(kind: type[Config], fields: Mapping[str, Any]) -> tuple[Config, Any]:
    """A dataclass of these fields, and what jsonargparse has made of them."""
    try:
        parser = _parser(kind)  # type: ignore[arg-type]
        parsed = parser.parse_object(plain_copy(fields))
        made = {name: value for name, value in vars(parser.instantiate(parsed)).items() if name != "config"}
        return kind(**made), parsed
    except InputError:
        raise
    except (ValueError, TypeError, ArithmeticError) as error:  # of a part that does not check, or say, what it takes
        raise InputError(plainly(str(error))) from None


def parse_mapping(kind: type[Config], fields: Mapping[str, Any], *, source: str | os.PathLike[str]) -> Config:
    """A dataclass from plain data, parts in it as ``class_path`` and ``init_args``; a fault's line names the ``source``."""
    try:
        if is_dataclass(kind):  # and no class of the user's own, whose options may be anything
            _check_shapes(fields, kind)
            _check_values(fields, kind)
        return _made(kind, fields)[0]
    except InputError as error:
        line = re.sub(r"(^|, |mean )--(?=\w)", r"\1", str(error))  # fields of a file are no options
        raise InputError(f"{Path(source)}: {line}") from None


def typed(kind: type[Config], composed: Composed, *, complete: Callable[[Composed], None]) -> tuple[Config, dict[str, Any]]:
    """A dataclass with its types checked and its parts made, and the same as plain data with every default filled in.

    ``complete`` adds what follows from several fields together, before the types are checked. The line of an `InputError`
    names the file or the option that set the field.
    """
    try:
        complete(composed)
        if is_part(one := composed.fields.get("augment")):  # a single class, by its dotted path
            composed.fields["augment"] = [one]
        _check_shapes(composed.fields, kind)
        _check_values(composed.fields, kind)
        made, parsed = _made(kind, composed.fields)
        return made, parse_yaml(_parser(kind).dump(parsed), "the configuration")  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(_located(str(error), composed)) from None


def _check_shapes(fields: Any, hint: Any, name: str = "") -> None:
    """Refuse what jsonargparse passes on, or tells of in Python's words.

    That is a group without fields, a part whose class is no text, and a number beyond 64 bits. ``hint`` is what the fields are
    declared as: a dataclass, a mapping, ``Any`` for whatever they like, or None for a part, whose options are not known here.
    """
    if not isinstance(fields, Mapping):
        return
    wanted: dict[str, tuple[type, str]] = {}
    if CLASS_PATH in fields and hint in (None, Any):
        wanted = {INIT_ARGS: (Mapping, "options by their names")}
        wanted |= {} if hint is Any else {CLASS_PATH: (str, "the dotted path of a class")}
        if hint is None and (other := sorted(map(str, fields.keys() - {CLASS_PATH, INIT_ARGS, "dict_kwargs"}))):
            raise InputError(f"--{dotted((name, other[0]))}: no such field; a part has {CLASS_PATH} and {INIT_ARGS}")
    if isinstance(hint, type) and is_dataclass(hint):
        hints = _hints(hint)
    else:
        hints = dict.fromkeys(fields, get_args(hint)[1] if get_origin(hint) is dict else hint)
    for key, value in fields.items():
        field = dotted((name, str(key)))
        type_, told = wanted.get(key) or ((Mapping, f"the fields of {key}") if is_dataclass(hints.get(key)) else (object, ""))
        if not isinstance(value, type_ | None):
            raise InputError(f"--{field}: expected {told}, found {shown(value)}")
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, int) and not -(2**63) <= one < 2**63:
                raise InputError(f"{field}: expected a number of at most 64 bits, found {shown(one)}")
            _check_shapes(one, hints.get(key), field)


@cache
def _hints(kind: type) -> dict[str, Any]:
    """The fields of a dataclass that are dataclasses or mappings, and what they are."""
    hints = {name: (hint, *get_args(hint)) for name, hint in get_type_hints(kind).items()}
    grouped = {name: [one for one in kinds if is_dataclass(one) or get_origin(one) is dict] for name, kinds in hints.items()}
    return {name: kinds[0] for name, kinds in grouped.items() if kinds}


def _check_values(fields: Mapping[str, Any], kind: type) -> None:
    """What jsonargparse lets pass: a field that takes no null but has one, and an option that a part does not have."""
    for name, value in flatten(fields).items():
        declared = field_type(f"{kind.__module__}.{kind.__qualname__}", name)
        if value is None and declared and "None" not in declared and declared != "Any":
            raise InputError(f"{name}: expected {in_words(declared)}, found null")
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
                raise InputError(f"--{field}.{name}: expected {in_words(told)} for {part[CLASS_PATH]}, found null")


def _located(line: str, composed: Composed) -> str:
    """An error line with the file or the option that set the field which it names."""
    for found in re.finditer(r"(?:--|')?\b([a-z_]\w*(?:\.\w+)*)", line):
        name = found[1].replace(f".{INIT_ARGS}", "")
        if name.partition(".")[0] in composed.fields and (source := composed.source_of(name)):
            return line if source.startswith("--") else f"{source}: {line}"
    return line
