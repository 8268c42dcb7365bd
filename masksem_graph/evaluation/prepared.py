"""How a run's own clips were prepared, as the run recorded it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from masksem_graph.data.readers.base import Origin
from masksem_graph.errors import InputError, shown
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.plain_yaml import read_plain
from masksem_graph.run_folder import RunFolder
from masksem_graph.topology import Topology


@dataclass(frozen=True)
class Prepared:
    """How a run's own clips were prepared, which clips that come later have to be too.

    Args:
        topology: the skeleton of the raw clips, which arrays without a description are on.
        origin: ``centre`` or ``none``.
        format: of the raw clips; None where the run does not say.
        options: of the format's reader.
        units: of the coordinates; None where the run does not say.
    """

    topology: Topology
    origin: Origin
    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    units: str | None = None


def prepared_as(folder: Path, encoder: SkeletonEncoder) -> Prepared:
    """How the clips of a run or of an evaluation were prepared.

    Args:
        folder: the run's; a converted one does not say more than its encoder.
        encoder: the run's.

    Raises:
        InputError: ``data.yaml`` or ``config.yaml`` is damaged.
    """
    path = folder / "data.yaml"
    recorded = read_plain(path) if path.is_file() else {}
    fields = recorded.get("prepared") if isinstance(recorded, dict) else None
    if fields is None:
        path, fields = folder / "config.yaml", RunFolder(folder).read_config().get("data") or {}
    found = [fields.get(name) or None for name in ("format", "options", "units")] if isinstance(fields, dict) else [fields]
    if len(found) != 3 or not all(isinstance(one, kind | None) for one, kind in zip(found, (str, dict, str), strict=True)):
        raise InputError(f"{path}: found {shown(fields)}, expected format, options and units of the clips")
    format, options, units = found
    return Prepared(encoder.home[1], encoder.input_spec.origin, format, options or {}, units)
