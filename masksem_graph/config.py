"""YAML files and command-line overrides in, typed and checked configurations out (jsonargparse)."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import jsonargparse
import yaml

from masksem_graph.errors import InputError
from masksem_graph.files import find_yaml

Config = TypeVar("Config")


class Parser(jsonargparse.ArgumentParser):
    """An argument parser whose faults are `InputError`, one line each, and whose ``--config`` takes shipped names too."""

    def __init__(self, **options: Any) -> None:
        # An abbreviated option would be a guess at what the user means.
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        line = " ".join(message.split())
        line = re.sub(r"Parser key \"([^\"]+)\":", r"--\1:", line)
        line = re.sub(r"\.? Got value: Namespace\(.*$", "", line)
        raise InputError(line + self._suggestion(line)) from None

    def _suggestion(self, line: str) -> str:
        found = re.search(r"(?:unrecognized arguments?: --|Option ')([\w.]+)", line) or re.search(r"[Kk]ey '([\w.]+)'", line)
        known = [option[2:] for action in self._actions for option in action.option_strings if option.startswith("--")]
        near = difflib.get_close_matches(found[1], known, n=1, cutoff=0.6) if found else []
        return f" (did you mean --{near[0]}?)" if near else ""

    def parse_args(self, args: Sequence[str] | None = None, **options: Any) -> Any:  # type: ignore[override]
        try:
            return super().parse_args(with_config_paths(sys.argv[1:] if args is None else args), **options)
        except ValueError as error:
            if isinstance(error, InputError) or "fail_untyped" not in str(error):
                raise
            # A part of the user's own, whose constructor says of an argument not what it takes.
            raise InputError(str(error).partition(", ")[2]) from None


def with_config_paths(argv: Sequence[str]) -> list[str]:
    """The same arguments with every ``--config NAME`` replaced by the file that it means."""
    out: list[str] = []
    for argument in argv:
        if out and out[-1] == "--config":
            argument = os.fspath(find_yaml(argument, "configs"))
        elif argument.startswith("--config="):
            argument = f"--config={find_yaml(argument.removeprefix('--config='), 'configs')}"
        out.append(argument)
    return out


def instantiate(parser: jsonargparse.ArgumentParser, parsed: Any) -> dict[str, Any]:
    """The parsed arguments as objects, less ``config``."""
    return {name: value for name, value in vars(parser.instantiate(parsed)).items() if name != "config"}


def resolved(parser: jsonargparse.ArgumentParser, parsed: Any) -> dict[str, Any]:
    """The parsed arguments as plain data with every default filled in; what a run saves."""
    return yaml.safe_load(parser.dump(parsed))


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
        return kind(**instantiate(parser, parser.parse_object(dict(fields))))
    except InputError as error:
        raise InputError(f"{Path(source)}: {error}") from None
