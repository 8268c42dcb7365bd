"""What a run recorded of its clips: which they were, and how they were prepared."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from masksem_graph.data.config import identity
from masksem_graph.data.readers.base import Origin
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError, shown
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.plain_yaml import read_plain
from masksem_graph.run_folder import RunFolder
from masksem_graph.topology import Topology, parse_topology

CHANGE_COORDINATES = ("cleaning", "missing", "min_score")  # options of readers that do, beside the units


@dataclass(frozen=True)
class Prepared:
    """How a run's own clips were prepared, which clips that come later have to be too.

    Args:
        topology: the skeleton of the raw clips, which arrays without a description are on.
        origin: ``centre`` or ``none``.
        format, options, units: of the raw clips, of the format's reader, of the coordinates; None where the run does not say.
    """

    topology: Topology
    origin: Origin
    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    units: str | None = None


def prepared_as(folder: Path, encoder: SkeletonEncoder) -> Prepared:
    """How the clips of a run or of an evaluation were prepared; a converted one does not say more than its encoder."""
    path, fields = _preparation(folder)
    kinds = {"format": str, "options": dict, "units": str, "topology": dict}
    found = {name: fields.get(name) or None for name in kinds} if isinstance(fields, dict) else {"options": fields}
    if not all(isinstance(value, kinds[name] | None) for name, value in found.items()):
        raise InputError(f"{path}: found {shown(fields)}, expected format, options, units and topology of the clips")
    skeleton = found.pop("topology")
    topology = parse_topology(skeleton, source_file=str(path)) if skeleton else encoder.home[1]
    return Prepared(topology, encoder.input_spec.origin, **{**found, "options": found["options"] or {}})


def check_options(run: str | os.PathLike[str], store: Store, named: Mapping[str, Any]) -> None:
    """Refuse clips of the run's format that were read with another value of an option that changes coordinates.

    ``named`` are options that the user gives: what is named is meant.
    """
    _, fields = _preparation(Path(run))
    options = fields.get("options") if isinstance(fields, dict) and fields.get("format") == store.format else None
    for name, wanted in options.items() if isinstance(options, dict) else ():
        found = store.options.get(name)
        if name in CHANGE_COORDINATES and name not in named and None not in (wanted, found) and wanted != found:
            raise InputError(
                f"data.options.{name}: {store.path} was prepared with {found}, the run's own clips with {wanted}; expected "
                f"the same, or --data.options.{name} {found} to say that it is meant"
            )


def pretrained_on(run: str | os.PathLike[str]) -> Any:
    """The data sets and splits that a run was pre-trained on, as its ``data.yaml`` has them; None where there is none."""
    path = Path(run) / "data.yaml"
    found = read_plain(path) if path.is_file() else None
    also = found.get("also", {}) if isinstance(found, dict) else {}
    for name, one in ("data", found or {}), ("also", also), *(also.items() if isinstance(also, dict) else ()):
        if not isinstance(one, dict):
            raise InputError(f"{path}: {name}: found {shown(one)}, expected the fields of a data set")
    return found


def records_of(run: str | os.PathLike[str], store: Store) -> list[Mapping[str, Any]]:
    """Of what `pretrained_on` says, the entries that are the data set of a store."""
    before = pretrained_on(run) or {}
    known, now = [before, *before.get("also", {}).values()], identity(store).items()
    return [one for one in known if all(one.get(name, value) == value for name, value in now)]


def _preparation(folder: Path) -> tuple[Path, Any]:
    """What a run says of how its clips were prepared, and the file where it does."""
    recorded = pretrained_on(folder)
    fields = recorded.get("prepared") if isinstance(recorded, dict) else None
    if fields is not None:
        return folder / "data.yaml", fields
    return folder / "config.yaml", RunFolder(folder).read_config().get("data") or {}
