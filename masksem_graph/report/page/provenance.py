"""Where a run or an evaluation comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from masksem_graph.report.page.content import Column, Section, Table, joined

FIELDS = {
    "Commit": "commit",
    "Device": "device_name",
    "Kind of device": "device",
    "Processes": "processes",
    "Threads a process": "threads",
}


def provenance_section(starts: Sequence[Mapping[str, Any]], further: Mapping[str, str]) -> Section:
    """Commit, versions and machine.

    Args:
        starts: what `masksem_graph.engine.provenance.provenance` returned, each time that work began; differing values are
            all shown.
        further: label -> text, shown before them.
    """
    rows = [[label, value] for label, value in further.items()]
    if starts:
        rows += [[label, joined([start.get(name) for start in starts])] for label, name in FIELDS.items()]
        versions = [found for start in starts if isinstance(found := start.get("versions"), dict)]
        packages = dict.fromkeys(name for found in versions for name in found)
        rows += [[str(name), joined([found.get(name) for found in versions])] for name in packages]
    return Section("provenance", "Provenance", table=Table([Column("", "text"), Column("", "text")], rows, headed=False))
