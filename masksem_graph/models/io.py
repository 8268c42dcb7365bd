"""An encoder on disk: ``encoder.safetensors`` holds its weights, ``encoder.yaml`` all it takes to build it again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from masksem_graph.config import parse_mapping
from masksem_graph.errors import InputError
from masksem_graph.files import read_yaml, write_beside
from masksem_graph.models.build import ModelConfig, build_encoder
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.topology import Topology, parse_topology

FORMAT = 1


def save_encoder(run: str | os.PathLike[str], encoder: SkeletonEncoder, model: Mapping[str, Any]) -> None:
    """Write an encoder into a run's folder.

    Args:
        run: the folder.
        encoder: its weights are saved.
        model: its `ModelConfig` as plain data.
    """
    run = Path(run)
    described = {
        "format": FORMAT,
        "channels": encoder.channels,
        "topology": encoder.topology.to_dict(),
        "model": dict(model),
    }
    with write_beside(run / "encoder.safetensors") as partial:
        save_file({name: value.detach().contiguous().cpu() for name, value in encoder.state_dict().items()}, partial)
    with write_beside(run / "encoder.yaml") as partial:
        partial.write_text(yaml.safe_dump(described, sort_keys=False))


def describe_encoder(run: str | os.PathLike[str]) -> dict[str, Any]:
    """The contents of a run's ``encoder.yaml``.

    Raises:
        InputError: the folder holds no encoder, or one of another format.
    """
    path = Path(run) / "encoder.yaml"
    if not path.is_file():
        raise InputError(f"{run}: expected a run with encoder.yaml and encoder.safetensors, found no {path.name}")
    described = read_yaml(path)
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        found = described.get("format") if isinstance(described, dict) else type(described).__name__
        raise InputError(f"{path}: format: expected {FORMAT}, found {found}")
    if missing := {"channels", "topology", "model"} - set(described):
        raise InputError(f"{path}: {sorted(missing)[0]}: this field is missing")
    if type(described["channels"]) is not int or described["channels"] < 1:
        raise InputError(f"{path}: channels: expected a whole number from 1, found {described['channels']!r}")
    if not isinstance(described["model"], dict):
        raise InputError(f"{path}: model: expected a mapping, found {described['model']!r}")
    return described


def new_encoder(run: str | os.PathLike[str], topology: Topology | None = None) -> SkeletonEncoder:
    """An encoder of a run's configuration with freshly drawn weights."""
    described, path = describe_encoder(run), Path(run) / "encoder.yaml"
    own = parse_topology(described["topology"], source_file=path)
    model = parse_mapping(ModelConfig, described["model"], source=path)
    try:
        return build_encoder(model, topology=topology or own, channels=described["channels"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def load_encoder(run: str | os.PathLike[str], topology: Topology | None = None) -> SkeletonEncoder:
    """The encoder of a run, in eval mode on the CPU.

    Args:
        run: a folder that ``train.py`` wrote.
        topology: another skeleton to use it on; only for an encoder without joint-numbered parts.

    Raises:
        InputError: the files are missing or damaged, or a part belongs to joint numbers and the topology is another one.
    """
    encoder = new_encoder(run, topology)
    own = parse_topology(describe_encoder(run)["topology"], source_file=Path(run) / "encoder.yaml").joints
    if topology is not None and topology.joints != own and (parts := encoder.positions.joint_numbered):
        raise InputError(
            f"{run}: this encoder belongs to its own {len(own)} joints because of its {', '.join(parts)} encoding; "
            f"expected encodings of the graph alone to use it on {topology.name}"
        )
    path = Path(run) / "encoder.safetensors"
    try:
        encoder.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(
            f"{path}: not the weights of {path.with_suffix('.yaml').name}: {' '.join(str(error).split())}"
        ) from None
    return encoder.eval()
