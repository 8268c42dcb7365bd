"""An argument parser whose faults are one line each, in plain words (jsonargparse)."""

import difflib
import re
from collections.abc import Sequence
from typing import Any, NoReturn

import jsonargparse

from masksem_graph import trust
from masksem_graph.errors import InputError

KINDS = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "a text", "NoneType": "null"}
KINDS |= {"dict": "a mapping", "list": "a list"}
A_FACTORY = r"Type <class '\S+?(\w+)Factory'> expects a function or a callable class: "
PLAINLY = {
    r"^--([\w.]+): --([\w.]+):": r"--\1.\2:",
    A_FACTORY + r"(?:Dict|Expected an) .*?, but got (.*?)(?:\. Got .*)?$": r"expected a class of \1, found \2",
    A_FACTORY + r"Expected '(\S+)' to be a subclass of .*": r"expected a class of \1, found \2",
    r"Import path (\S+) does not correspond to a subclass of (\S+)": r"expected a class of \2, found \1",
    r"Expected a dot import path string: (.*)": r"expected the dotted path of a class, found \1",
    r"Expected an instantiatable class, but (\S+) is abstract": r"expected a class that can be made, found the abstract \1",
    r"Type <class \S+> expects .*? class: module '(\S+)' has no attribute '(\w+)'.*": r"\1 has no class \2",
    r"Group '(\w+)' does not accept option '(\S+)'": r"--\1.\2: no such option",
    r"Option '(\S+)' is not accepted": r"no such option: \1",
}
"""What jsonargparse says, and what we say."""
UNION = re.compile(
    r"Does not validate against any of the Union subtypes\n.*\n *Errors:\n(?P<indent> *)- (?P<errors>(?:.|\n)*)\n"
    r" *Given value type: .*\n *Given value: "
)
KIND = re.compile(r"(?:Expected|Not) a (<class .+?>|typing\..+?|valid subclass .+?)(?:\. Got value:(?:.|\n)*)?")
"""The errors of a union, and one that says of which kind the value should be."""


class Parser(jsonargparse.ArgumentParser):
    """An argument parser whose faults are `InputError`, one line each."""

    def __init__(self, **options: Any) -> None:
        # An abbreviated option would be a guess at what the user means.
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        line = plainly(message)
        if missing := re.search(r"arguments are required: ([\w., ]+)$", line):
            places = {action.dest for action in self._actions if not action.option_strings}
            typed = (name if name in places or name.startswith("-") else f"--{name}" for name in missing[1].split(", "))
            told = ", ".join(typed)
            groups = [group for group in ("data", "method", "model") if f"--{group}." in told]
            hint = "; expected " + " and ".join(f"--{group} NAME" for group in groups) if groups else ""
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


def plainly(message: str) -> str:
    """Jsonargparse's message as a line, in this package's words."""
    message = re.sub(r"\n *Subclass types expect one of:(\n *- a .*)+", "", message)
    if union := UNION.search(message):
        errors = union["errors"].split(f"\n{union['indent']}- ")
        kinds = [KIND.fullmatch(one) for one in errors]
        alone = [plainly(one) for one, kind in zip(errors, kinds, strict=True) if not kind]
        either = " or ".join(_kinds(kind[1]) for kind in kinds if kind)
        message = message[: union.start()] + (alone[0] if alone else f"expected {either}, found {message[union.end() :]}")
    line = re.sub(r"Parser key \"([^\"]+)\":", r"--\1:", " ".join(message.split()))
    line = re.sub(r"\.? Got value: Namespace\(.*$", "", line) + " "
    line = re.sub(r"(?:Expected|Not) a (.+?)\. Got value: ?", lambda told: f"expected {_kinds(told[1])}, found ", line).strip()
    for theirs, ours in PLAINLY.items():
        line = re.sub(theirs, ours, line)
    return line


def _kinds(told: str) -> str:
    told = re.sub(r"typing\.Literal\[(.*?)\]", lambda one: f"one of {one[1].replace(chr(39), '')}", told)
    told = re.sub(r"valid subclass of (\w+)", r"a class of \1", told)
    return re.sub(r"<class '(\w+)'>", lambda one: KINDS.get(one[1], one[1]), told)


def in_words(annotation: str) -> str:
    """What a field takes, by its annotation."""
    return KINDS.get(annotation) or re.sub(r"(\w+)Factory", r"a class of \1", annotation)
