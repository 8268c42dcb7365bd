"""Where a run or an evaluation comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from masksem_graph.report.page.content import Column, Fact, Section, Table
from masksem_graph.report.page.texts import at, joined

FIELDS = {
    "Commit": "commit",
    "Device": "device_name",
    "Kind of device": "device",
    "Processes": "processes",
    "Threads a process": "threads",
}


def machine_facts(starts: Sequence[Mapping[str, Any]]) -> list[Fact]:
    """Device and commit in short; nothing where none is known."""
    if not starts:
        return []
    packages = [f"{name} {_all(starts, 'versions', name)}" for name in ("masksem-graph", "torch")]
    return [
        Fact("Device", _all(starts, "device"), _all(starts, "device_name")),
        Fact("Commit", joined([start.get("commit") for start in starts], short), ", ".join(packages)),
    ]


def short(commit: Any) -> str:
    """A commit in ten letters, and whether files differed from it."""
    if not commit:
        return "unknown (an installed wheel, or no git)"
    name, dirty, _ = str(commit).partition("-dirty")
    return name[:10] + dirty


def provenance_section(starts: Sequence[Mapping[str, Any]], further: Mapping[str, str]) -> Section:
    """Commit, versions and machine.

    Args:
        starts: what `masksem_graph.training.provenance.provenance` returned, each time that work began; differing values are
            all shown.
        further: label -> text, shown before them.
    """
    rows = [[label, value] for label, value in further.items()]
    if starts:
        rows += [[label, _all(starts, name)] for label, name in FIELDS.items()]
        versions = [found for start in starts if isinstance(found := start.get("versions"), dict)]
        packages = dict.fromkeys(name for found in versions for name in found)
        rows += [[str(name), _all(starts, "versions", name)] for name in packages]
    return Section("provenance", "Provenance", table=Table([Column("", "text"), Column("", "text")], rows, headed=False))


def _all(starts: Sequence[Mapping[str, Any]], *path: str) -> str:
    """What the starts say, each answer once."""
    return joined([at(start, *path) for start in starts])
