"""Configurations with their types checked and their parts made (jsonargparse)."""

from __future__ import annotations

import difflib
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import jsonargparse

from masksem_graph import trust
from masksem_graph.compose import CLASS_PATH, INIT_ARGS, Composed, flatten, is_part, parts_in, plain_copy
from masksem_graph.errors import InputError
from masksem_graph.options import field_type
from masksem_graph.plain_yaml import parse_yaml

Config = TypeVar("Config")


class Parser(jsonargparse.ArgumentParser):
    """An argument parser whose faults are `InputError`, one line each."""

    def __init__(self, **options: Any) -> None:
        # An abbreviated option would be a guess at what the user means.
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        line = " ".join(message.split())
        line = re.sub(r"Parser key \"([^\"]+)\":", r"--\1:", line)
        line = re.sub(r"\.? Got value: Namespace\(.*$", "", line)
        if missing := re.search(r"arguments are required: ([\w., ]+)$", line):
            names = ", ".join(map(self._as_typed, missing[1].split(", ")))
            raise InputError(f"{names}: required, but not given") from None
        if denied := re.search(r"Importing '([\w.]+)' is not allowed", line):
            raise InputError(f"{line.partition(':')[0]}: {trust.refusal(denied[1])}") from None
        raise InputError(line + self._suggestion(line)) from None

    def _as_typed(self, name: str) -> str:
        places = {action.dest for action in self._actions if not action.option_strings}
        return name if name in places or name.startswith("-") else f"--{name}"

    def _suggestion(self, line: str) -> str:
        if "--checkpoint" in line:
            return "; it is called --run now"
        found = re.search(r"(?:unrecognized arguments?: --|Option ')([\w.]+)", line) or re.search(r"[Kk]ey '([\w.]+)'", line)
        known = [option[2:] for action in self._actions for option in action.option_strings if option.startswith("--")]
        near = difflib.get_close_matches(found[1], known, n=1, cutoff=0.6) if found else []
        return f" (did you mean --{near[0]}?)" if near else ""

    def parse_args(self, args: Sequence[str] | None = None, **options: Any) -> Any:  # type: ignore[override]
        try:
            return super().parse_args(sys.argv[1:] if args is None else args, **options)
        except ValueError as error:
            if isinstance(error, InputError) or "fail_untyped" not in str(error):
                raise
            # A part of the user's own, whose constructor says of an argument not what it takes.
            raise InputError(str(error).partition(", ")[2]) from None


def instantiate(parser: jsonargparse.ArgumentParser, parsed: Any) -> dict[str, Any]:
    """The parsed arguments as objects, less ``config``."""
    try:
        made = parser.instantiate(parsed)
    except (TypeError, ZeroDivisionError) as error:  # a part that does not check what it is given
        raise InputError(" ".join(str(error).split())) from None
    return {name: value for name, value in vars(made).items() if name != "config"}


def resolved(parser: jsonargparse.ArgumentParser, parsed: Any) -> dict[str, Any]:
    """The parsed arguments as plain data with every default filled in; what a run saves."""
    return parse_yaml(parser.dump(parsed), "the configuration")


def parse_mapping(kind: type[Config], fields: Mapping[str, Any], *, source: str | os.PathLike[str]) -> Config:
    """A configuration object from plain data.

    Args:
        kind: the dataclass to fill.
        fields: its fields; parts as ``class_path`` and ``init_args``.
        source: the file they come from, for the error line.

    Raises:
        InputError: a missing, unknown or mistyped field, or a part that cannot be imported.
    """
    parser = Parser(prog=str(source), exit_on_error=True)
    parser.add_class_arguments(kind, fail_untyped=True)
    try:
        return kind(**instantiate(parser, parser.parse_object(plain_copy(fields))))
    except InputError as error:
        raise InputError(f"{Path(source)}: {str(error).removeprefix('--')}") from None


def typed(kind: type[Config], composed: Composed, *, complete: Callable[[Composed], None]) -> tuple[Config, dict[str, Any]]:
    """A configuration with its types checked and its parts made.

    Args:
        kind: the dataclass to fill.
        composed: its fields.
        complete: adds what follows from several fields together, before the types are checked.

    Returns:
        the object, and the same as plain data with every default filled in.

    Raises:
        InputError: a missing, unknown or mistyped field; the line names the file or the option that set it.
    """
    parser = Parser(prog=kind.__name__)
    parser.add_class_arguments(kind, fail_untyped=True)
    try:
        complete(composed)
        if is_part(one := composed.fields.get("augment")):  # a single class, by its dotted path
            composed.fields["augment"] = [one]
        _check_values(composed.fields, kind)
        parsed = parser.parse_object(plain_copy(composed.fields))
        return kind(**instantiate(parser, parsed)), resolved(parser, parsed)
    except InputError as error:
        raise InputError(_located(str(error), composed)) from None
    except ValueError as error:  # a part of the user's own, whose constructor does not say what an argument takes
        raise InputError(" ".join(str(error).split())) from None


def _check_values(fields: Mapping[str, Any], kind: type) -> None:
    """What jsonargparse lets pass: a field that takes no null but has one, and numbers beyond 64 bits."""
    for name, value in flatten(fields).items():
        declared = field_type(f"{kind.__module__}.{kind.__qualname__}", name)
        if value is None and declared and "None" not in declared and declared != "Any":
            raise InputError(f"{name}: expected {declared}, found null")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InputError(f"{name}: expected a number of at most 64 bits, found {value}")
    for part in parts_in(fields):
        if not trust.is_allowed(part[CLASS_PATH]):
            continue  # refused in a moment, by its field's name
        takes = inspect.signature(trust.import_class(part[CLASS_PATH], object, field=CLASS_PATH)).parameters
        for name, value in (part.get(INIT_ARGS) or {}).items():
            if value is None and name in takes and "None" not in str(takes[name].annotation):
                raise InputError(f"{name}: expected {takes[name].annotation} for {part[CLASS_PATH]}, found null")


def _located(line: str, composed: Composed) -> str:
    """An error line with the file or the option that set the field which it names."""
    for found in re.finditer(r"(?:--|')?\b([a-z_]\w*(?:\.\w+)*)", line):
        name = found[1].replace(f".{INIT_ARGS}", "")
        if name.partition(".")[0] in composed.fields and (source := composed.source_of(name)):
            return line if source.startswith("--") else f"{source}: {line}"
    return line
