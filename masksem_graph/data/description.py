"""``store.yaml``: what the clips of a store are, how they were prepared, and what its files must hold."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from masksem_graph.errors import InputError, shown
from masksem_graph.plain_yaml import read_yaml
from masksem_graph.topology import Topology, parse_topology

FORMAT_VERSION = 3
DESCRIPTION = "store.yaml"
AGAIN = "prepare the store again"
COUNTS = ("clips", "bodies", "frames", "skipped", "filled")


@dataclass(frozen=True, kw_only=True)
class StoreDescription:
    """What ``store.yaml`` says.

    Args:
        format: name of the reader; empty where a program wrote the store.
        options: all options of the reader, those left at their defaults too.
        origin: ``centre`` or ``none``.
        units: of the coordinates; those of the topology, unless the reader converted them.
        classes: class names by label.
        splits: names of the splits, in the order of ``parts.npy``.
        counts: clips, bodies, frames of all bodies, clips skipped, joints filled.
        topology: the skeleton.
        checksums: SHA-256 of each array's file.
    """

    format: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "none"
    units: str
    classes: tuple[str, ...]
    splits: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    topology: Topology
    checksums: dict[str, str] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """The fields of the file, less its fingerprint."""
        own = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        about = {"dimensions": self.topology.dimensions, "topology": self.topology.to_dict()}
        return {"version": FORMAT_VERSION, **own, **about}

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all of this, and by the checksums of all clips: two stores with the same hold the same."""
        return _fingerprint(yaml.safe_load(_text(self.fields())))

    def write(self, path: Path) -> None:
        """Write the file."""
        path.write_text(_text(self.fields() | {"fingerprint": self.fingerprint}), encoding="utf-8")


def read_description(path: Path) -> StoreDescription:
    """Read and check a ``store.yaml``.

    Raises:
        InputError: not a store's, of another version, changed since it was written, or a field is not what it has to be.
    """
    if not path.is_file():
        what = "not a store" if path.parent.exists() else "no such store"
        raise InputError(f"{path.parent}: {what}, expected a folder with {DESCRIPTION} that `masksem-graph prepare` wrote")
    fields = read_yaml(path)
    if not isinstance(fields, dict) or "version" not in fields:
        raise InputError(f"{path}: not a store's description, expected a mapping with version, {', '.join(RULES)}")
    if fields["version"] != FORMAT_VERSION:
        raise InputError(f"{path}: version: found {shown(fields['version'])}, expected {FORMAT_VERSION}; {AGAIN}")
    for name, (is_right, expected) in RULES.items():
        if not is_right(fields.get(name)):
            raise InputError(f"{path}: {name}: found {shown(fields.get(name))}, expected {expected}; {AGAIN}")
    if unknown := sorted(set(map(str, fields)) - {"version", *RULES}):
        raise InputError(f"{path}: {unknown[0]}: unknown field; {AGAIN}")
    try:
        fits = fields.pop("fingerprint") == _fingerprint(fields)
    except TypeError:  # names of several types, which have no order
        fits = False
    if not fits:
        raise InputError(f"{path}: was changed or damaged after it was written: its fingerprint does not fit; {AGAIN}")
    topology = parse_topology(fields["topology"], source_file=path)
    if fields["dimensions"] != topology.dimensions:
        raise InputError(
            f"{path}: dimensions: found {fields['dimensions']}, but the topology has {topology.dimensions}; {AGAIN}"
        )
    del fields["version"], fields["dimensions"]
    names = {name: tuple(fields[name]) for name in ("classes", "splits")}
    return StoreDescription(**fields | names | {"topology": topology})


def _text(fields: Mapping[str, Any]) -> str:
    return yaml.safe_dump(fields, sort_keys=False, width=120)


def _fingerprint(fields: Any) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value) and len(set(value)) == len(value)


def _is_mapping(of: Callable[[Any], bool], *names: str) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            return False
        return all(map(of, value.values())) and (not names or set(value) == set(names))

    return holds


ARRAYS = {
    **{"frames": "<f4", "present": "|b1", "parts": "|i1", "name": "<U"},
    **dict.fromkeys(("body_offset", "body_start", "clip_offset", "label", "subject", "camera", "setup", "length"), "<i8"),
}
"""A store's arrays and what they hold."""

_are_options = _is_mapping(lambda value: value is None or isinstance(value, str | int | float | bool))
_are_counts = _is_mapping(lambda value: type(value) is int and 0 <= value < 2**48, *COUNTS)

RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "format": (_is_text, "a text"),
    "options": (_are_options, "a mapping of options to plain values"),
    "origin": (lambda value: value in ("centre", "none"), "centre or none"),
    "units": (lambda value: _is_text(value) and value != "", "a text"),
    "dimensions": (lambda value: type(value) is int and value in (2, 3), "2 or 3"),
    "classes": (_are_names, "a list of names, each once"),
    "splits": (_are_names, "a list of names, each once"),
    "counts": (_are_counts, f"numbers of {', '.join(COUNTS)}"),
    "topology": (lambda value: isinstance(value, dict), "the fields of a topology"),
    "checksums": (_is_mapping(_is_text, *ARRAYS), f"a checksum of {', '.join(ARRAYS)}"),
    "fingerprint": (_is_text, "a checksum"),
}
"""The fields of the file: what is right, and what is expected."""
