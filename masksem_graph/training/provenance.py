"""Where a result comes from: the commit, the versions, the machine."""

from __future__ import annotations

import platform
import subprocess
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
    return {
        "device": str(device),
        "device_name": device_name(device),
        "processes": world_size(),
        "threads": torch.get_num_threads(),
        "commit": commit(),
        "versions": {
            "masksem-graph": __version__,
            **{name: version(name) for name in PACKAGES},
            "python": platform.python_version(),
        },
    }


def record_start(folder: Path, device: torch.device, parts: dict[str, str] | None = None) -> None:
    """Note in ``provenance.yaml`` where a run is computed; a run that goes on elsewhere, or by other code, adds an entry.

    Args:
        folder: of the run.
        device: where it is computed.
        parts: classes that are not of this package, with the hash of the file of each.
    """
    path = folder / PROVENANCE
    before = read_yaml(path) if path.is_file() else None
    starts = before if isinstance(before, list) else []
    now = provenance(device) | ({"own_parts": parts} if parts else {})
    if now not in starts[-1:]:
        with write_beside(path) as partial:
            partial.write_text(yaml.safe_dump([*starts, now], sort_keys=False))


def device_name(device: torch.device) -> str:
    """The name of the GPU or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


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
