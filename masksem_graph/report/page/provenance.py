"""Where a run or an evaluation comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from masksem_graph.report.page.content import Column, Section, Table, at, joined

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
        packages = dict.fromkeys(name for start in starts for name in at(start, "versions") or {})
        rows += [[name, joined([at(start, "versions", name) for start in starts])] for name in packages]
    return Section("provenance", "Provenance", table=Table([Column("", "text"), Column("", "text")], rows, headed=False))
