"""Networks on disk: ``encoder.safetensors`` holds an encoder's weights, ``encoder.yaml`` all it takes to build it again.

A run that can classify has a head beside it, in ``head.safetensors`` and ``head.yaml``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from masksem_graph.config import parse_mapping
from masksem_graph.errors import InputError
from masksem_graph.files import read_yaml, write_beside
from masksem_graph.models.build import ModelConfig, build_encoder
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.heads import Head, HeadFactory
from masksem_graph.topology import Topology, parse_topology

FORMAT = 1


def save_encoder(
    run: str | os.PathLike[str], encoder: SkeletonEncoder, model: Mapping[str, Any], others: Sequence[Topology] = ()
) -> None:
    """Write an encoder into a run's folder.

    Args:
        run: the folder.
        encoder: its weights are saved, and its topology, which it is loaded on unless another is given.
        model: its `ModelConfig` as plain data.
        others: further topologies that it was trained on.
    """
    run = Path(run)
    described = {
        "format": FORMAT,
        "channels": encoder.channels,
        "topology": encoder.topology.to_dict(),
        **({"other_topologies": [topology.to_dict() for topology in others]} if others else {}),
        "model": dict(model),
    }
    _save(run / "encoder.safetensors", encoder, described)


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
    if not isinstance(others := described.get("other_topologies", []), list):
        raise InputError(f"{path}: other_topologies: expected a list, found {others!r}")
    if not isinstance(described["model"], dict):
        raise InputError(f"{path}: model: expected a mapping, found {described['model']!r}")
    return described


def topology_for(run: str | os.PathLike[str], data: Topology) -> Topology:
    """The topology to use a run's encoder on clips on: of those that it was trained on, else the clips' own.

    An encoder reads its joints by name. One of its topologies that has all joints of the clips comes before one that leaves
    some out.

    Args:
        run: the folder.
        data: of the clips.
    """
    described, path = describe_encoder(run), Path(run) / "encoder.yaml"
    known = [described["topology"], *described.get("other_topologies", [])]
    known = [parse_topology(fields, source_file=path) for fields in known]
    fitting = [topology for topology in known if set(topology.inputs) <= set(data.inputs)]
    return max(fitting, key=lambda topology: len(topology.inputs), default=data)


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
    _load_weights(Path(run) / "encoder.safetensors", encoder)
    return encoder.eval()


class SavedHead(NamedTuple):
    """A run's head, in eval mode on the CPU, and the names of its classes; None where the run does not know them."""

    head: Head
    classes: tuple[str, ...] | None


@dataclass(frozen=True)
class HeadConfig:
    """A head on disk.

    Args:
        head: its class and options.
        width, joints: D and V of the features that it takes.
        classes: names in the order of its scores, or just how many.
    """

    head: HeadFactory
    width: int
    joints: int
    classes: list[str] | int


def save_head(run: str | os.PathLike[str], head: Head, *, width: int, joints: int, classes: Sequence[str] | int) -> None:
    """Write a head into a run's folder.

    Args:
        run: the folder.
        head: its weights are saved, and its `Head.options`.
        width, joints: D and V of the features that it takes.
        classes: names in the order of its scores, or just how many where nobody knows their names.
    """
    kind = type(head)
    described = {
        "format": FORMAT,
        "head": {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": head.options()},
        "width": width,
        "joints": joints,
        "classes": classes if isinstance(classes, int) else list(classes),
    }
    _save(Path(run) / "head.safetensors", head, described)


def load_head(run: str | os.PathLike[str]) -> SavedHead | None:
    """The head of a run; None where it has none.

    Raises:
        InputError: the files are damaged.
    """
    path = Path(run) / "head.yaml"
    if not path.is_file():
        return None
    described = read_yaml(path)
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        found = described.get("format") if isinstance(described, dict) else type(described).__name__
        raise InputError(f"{path}: format: expected {FORMAT}, found {found}")
    config = parse_mapping(HeadConfig, {k: v for k, v in described.items() if k != "format"}, source=path)
    names = None if isinstance(config.classes, int) else tuple(config.classes)
    count = config.classes if isinstance(config.classes, int) else len(config.classes)
    head = config.head(width=config.width, joints=config.joints, classes=count)
    _load_weights(path.with_suffix(".safetensors"), head)
    return SavedHead(head.eval(), names)


def _save(path: Path, network: nn.Module, described: Mapping[str, Any]) -> None:
    with write_beside(path) as partial:
        save_file({name: value.detach().contiguous().cpu() for name, value in network.state_dict().items()}, partial)
    with write_beside(path.with_suffix(".yaml")) as partial:
        partial.write_text(yaml.safe_dump(dict(described), sort_keys=False))


def _load_weights(path: Path, network: nn.Module) -> None:
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(
            f"{path}: not the weights of {path.with_suffix('.yaml').name}: {' '.join(str(error).split())}"
        ) from None
