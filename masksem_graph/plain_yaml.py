"""YAML in and out: plain data alone, nothing endless, no key twice."""

import re
from pathlib import Path
from typing import Any

import yaml

from masksem_graph.errors import InputError
from masksem_graph.files import require_regular, write_beside

try:
    from yaml import CBaseLoader as BaseLoader
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML was built without libyaml
    from yaml import BaseLoader, SafeLoader  # type: ignore[assignment]

LARGEST, DEEPEST, LONGEST = 2**20, 50, 100_000
"""Bytes, levels and values: a larger, deeper or longer file is no description of anything here."""

FAULTS = {
    "expected ',' or ']'": "a [ without its ]",
    "expected ',' or '}'": "a { without its }",
    "expected key": "another indentation than the lines before",
    "expected '-' indicator": "another indentation than the lines before",
    "found a tab character": "a tab; lines are indented by spaces",
    "expected <block end>": "another indentation than the lines before",
    "mapping values are not allowed": "a second colon; text with a colon in it stands in quotes",
    "could not find expected ':'": "a name without its colon",
    "cannot start any token": "a tab, or a sign such as @; lines are indented by spaces, and text with signs stands in quotes",
    "found unexpected end of stream": "a quote without its end",
}
"""What PyYAML says, and what it means."""
DAMAGE = (yaml.YAMLError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError, RecursionError)
"""Damaged dates, numbers and keys end in the errors of the types that they stand for."""


class _OneOfEach:
    """A loader to which a key that stands twice is an error, where PyYAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    raise yaml.MarkedYAMLError(problem=f"{key.value!r} stands twice", problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep=deep)  # type: ignore[misc]


class _Data(_OneOfEach, SafeLoader):
    """Scalars after YAML 1.1, and aliases."""


class _Text(_OneOfEach, BaseLoader):
    """Every scalar is the text that stands there."""


class _Plain(_OneOfEach, SafeLoader):
    """Scalars as people mean them, after YAML 1.2: ``yes`` and ``01`` are text, ``1e-3`` is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(problem="expected a name before the colon", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Plain.yaml_implicit_resolvers = {}
_FLOAT = r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
for _tag, _scalar, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
):
    for _kind in (_Plain, _Dumper):  # the dumper puts quotes around texts that either YAML 1.1 or 1.2 would read otherwise
        _kind.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_scalar})$"), _first)


def read_yaml(path: Path, *, as_text: bool = False) -> Any:
    """The plain data in a YAML file of UTF-8 text; ``as_text``, every scalar is the text that stands there.

    An `InputError` where it is larger, deeper or by its aliases longer than any description, or says a key twice.
    """
    return _load(_read(path), path, _Text if as_text else _Data)


def read_plain(path: Path) -> Any:
    """The plain data in a configuration; see `parse_yaml` and `read_yaml`."""
    return parse_yaml(_read(path), path)


def parse_yaml(text: str, source: object) -> Any:
    """The plain data that a YAML text holds, its scalars read after YAML 1.2; no aliases, and no field twice."""
    return _load(text, source, _Plain)


def _load(text: str, source: object, loader: Any) -> Any:
    """What a text holds, refused before anything is built where it is no YAML, or too much."""
    try:
        excess = _excess(text, aliases=loader is not _Plain)
        found = None if excess else yaml.load(text, loader)
    except DAMAGE as error:
        raise InputError(f"{source}: not a readable YAML file: {_fault(error)}") from None
    if excess:
        raise InputError(f"{source}: {excess}")
    return found


def write_plain(path: Path, fields: Any) -> None:
    """Write plain data as YAML, whole or not at all."""
    with write_beside(path) as partial:
        partial.write_text(yaml.dump(fields, Dumper=_Dumper, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _read(path: Path) -> str:
    try:
        require_regular(path)
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise InputError(f"{path}: is larger than {LARGEST >> 20} MiB, expected a short YAML file")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8, expected a YAML file of UTF-8 text") from None


def _fault(error: Exception) -> str:
    """What is wrong with a YAML text, in a line: where, and what."""
    problem, mark = str(getattr(error, "problem", None) or error), getattr(error, "problem_mark", None)
    told = next((plain for theirs, plain in FAULTS.items() if theirs in problem), " ".join(problem.split())[:200])
    return f"line {mark.line + 1}, column {mark.column + 1}: {told}" if mark is not None else told


def _excess(text: str, *, aliases: bool) -> str:
    """Why a text would be deep or endless once its aliases are followed; empty where it is not.

    Where ``aliases`` are not read, one raises a YAML error.
    """
    sizes, anchors, known = [0], [""], {}
    for event in yaml.parse(text, SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            sizes.append(1)
            anchors.append(event.anchor or "")
        elif isinstance(event, yaml.CollectionEndEvent):
            size = known[anchors.pop()] = sizes.pop()
            sizes[-1] += size
        elif isinstance(event, yaml.AliasEvent):
            if not aliases:
                raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=event.start_mark)  # type: ignore[arg-type]
            if event.anchor not in known:
                return f"*{event.anchor} is not the alias of a whole value before it"
            sizes[-1] += known[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            known[event.anchor or ""] = 1
            sizes[-1] += 1
        if len(sizes) > DEEPEST:
            return f"is nested deeper than {DEEPEST} levels, expected a short YAML file"
        if sizes[-1] > LONGEST:
            return f"has more than {LONGEST:,} values with its aliases followed, expected a short file"
    return ""
