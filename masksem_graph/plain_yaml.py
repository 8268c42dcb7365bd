"""Configurations as YAML: scalars as people mean them, no aliases, no field twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from masksem_graph.errors import InputError
from masksem_graph.files import require_regular, write_beside, yaml_fault

LARGEST = 2**20  # bytes


class _Loader(yaml.SafeLoader):
    """Scalars as people mean them, after YAML 1.2: ``yes`` and ``01`` are text, ``1e-3`` is a number."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):  # a few hundred bytes of them stand for gigabytes
            event = self.peek_event()
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(problem="expected a name before the colon", problem_mark=key.start_mark)
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise yaml.MarkedYAMLError(problem=f"{twice[0]!r} stands here twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Loader.yaml_implicit_resolvers = {}
_FLOAT = r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
for _tag, _text, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
):
    for _kind in (_Loader, _Dumper):  # the dumper puts quotes around texts that either YAML 1.1 or 1.2 would read otherwise
        _kind.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_text})$"), _first)


def parse_yaml(text: str, source: object) -> Any:
    """The plain data that a YAML text holds.

    Args:
        text: the YAML.
        source: where it comes from, for the error line.

    Raises:
        InputError: it is not readable, names a field twice, or has aliases.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise InputError(f"{source}: not a readable YAML file: {yaml_fault(error)}") from None


def read_plain(path: Path) -> Any:
    """The plain data in a YAML file, which is UTF-8; see `parse_yaml`.

    Raises:
        InputError: it cannot be read.
    """
    try:
        require_regular(path)
        if (size := path.stat().st_size) > LARGEST:
            raise InputError(f"{path}: has {size:,} bytes, expected a configuration of at most {LARGEST:,}")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable YAML file: {' '.join(str(error).split())}") from None
    return parse_yaml(text, path)


def write_plain(path: Path, fields: Any) -> None:
    """Write plain data as YAML, whole or not at all."""
    with write_beside(path) as partial:
        partial.write_text(yaml.dump(fields, Dumper=_Dumper, sort_keys=False, allow_unicode=True), encoding="utf-8")
