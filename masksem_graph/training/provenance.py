"""Where a result comes from: the commit, the versions, the machine."""

import platform
import re
import subprocess
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from masksem_graph import __version__
from masksem_graph.files import PACKAGE, write_beside
from masksem_graph.plain_yaml import read_yaml
from masksem_graph.training.processes import world_size

PROVENANCE = "provenance.yaml"
PACKAGES = ("torch", "torch-geometric", "lightning-fabric", "torchmetrics", "numpy")


def provenance(device: torch.device) -> dict[str, Any]:
    """What a reviewer asks of a result, as plain data."""
    versions = {name: version(name) for name in PACKAGES}
    return {
        "device": str(device),
        "device_name": _device_name(device),
        "processes": world_size(),
        "threads": torch.get_num_threads(),
        "commit": commit(),
        "versions": {"masksem-graph": __version__, **versions, "python": platform.python_version()},
    }


def record_start(folder: Path, device: torch.device, parts: dict[str, str]) -> None:
    """Note in ``provenance.yaml`` where a run is computed; a run that goes on elsewhere, or by other code, adds an entry.

    ``parts`` are classes that are not of this package, with the hash of the file of each.
    """
    path = folder / PROVENANCE
    before = read_yaml(path) if path.is_file() else None
    starts = before if isinstance(before, list) else []
    now = provenance(device) | ({"own_parts": parts} if parts else {})
    if now not in starts[-1:]:
        with write_beside(path) as partial:
            partial.write_text(yaml.safe_dump([*starts, now], sort_keys=False))


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    found = None
    with suppress(OSError):
        found = re.search(r"^model name\s*: (.*\S)", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def commit() -> str | None:
    """The commit of the checkout that the package runs from, ``-dirty`` where files differ; None in a wheel or without git."""
    if not (PACKAGE.parent / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--match", "no-tag"]
    try:
        answer = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    except OSError:  # no git on this machine
        return None
    return answer.stdout.strip() or None
