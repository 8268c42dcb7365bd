"""Networks on disk: ``encoder.safetensors`` and ``head.safetensors`` hold weights, the YAML beside them how to build each.

The file of the weights holds the checksum of both files, so what is read is whole while a run writes it again and again.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from masksem_graph.config import parse_mapping
from masksem_graph.data.input_spec import InputSpec
from masksem_graph.errors import InputError, shown
from masksem_graph.files import require_regular, write_beside
from masksem_graph.hub import local
from masksem_graph.models.build import LARGEST, ModelConfig
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.heads import Head, HeadFactory
from masksem_graph.plain_yaml import read_yaml
from masksem_graph.topology import Topology, joint_columns, parse_topology

FORMAT = 2
CHECKSUM = "sha256"
"""What the file of the weights calls its checksum."""
NO_WEIGHTS = "not the weights of"
FIELDS: dict[str, tuple[type, str]] = {
    "channels": (int, f"a whole number from 1 to {LARGEST}"),
    "topologies": (list, "a list of topologies"),
    "model": (dict, "a mapping"),
    "input_spec": (dict, "a mapping"),
    "recorded": (list, "a list of topologies"),
}
"""Of ``encoder.yaml``, beside its format."""


@dataclass(frozen=True)
class EncoderDescription:
    """What an encoder is built from; `create_encoder` builds it, ``encoder.yaml`` holds it as plain data.

    Args:
        model: the `ModelConfig`.
        topologies, recorded: see `SkeletonEncoder`, as topology files have them.
        channels: C, coordinates of a joint.
        input_spec: how its clips are prepared.
    """

    model: dict[str, Any]
    topologies: list[dict[str, Any]]
    channels: int
    input_spec: InputSpec
    recorded: list[dict[str, Any]] | None = None


def create_encoder(described: EncoderDescription, *, source: str | os.PathLike[str] = "model") -> SkeletonEncoder:
    """A freshly initialised encoder that knows its own configuration; ``source`` is the file it comes from, for messages."""
    return _prepared(described, source)()


def _prepared(described: EncoderDescription, source: str | os.PathLike[str]) -> Callable[[], SkeletonEncoder]:
    """What builds an encoder, its description checked as far as that goes without building it."""
    topologies, recorded = (
        [parse_topology(fields, source_file=source) for fields in found]
        for found in (described.topologies, described.recorded or described.topologies)
    )
    model = parse_mapping(ModelConfig, described.model, source=source)
    skeletons = {"topologies": topologies, "recorded": recorded}

    def build() -> SkeletonEncoder:
        try:
            for topology, raw in zip(topologies, recorded, strict=True):
                joint_columns(topology, raw)
            encoder = SkeletonEncoder(model, channels=described.channels, input_spec=described.input_spec, **skeletons)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        encoder.described = described.model
        return encoder

    return build


def save_encoder(run: str | os.PathLike[str], encoder: SkeletonEncoder) -> None:
    """Write an encoder into a folder; `SkeletonEncoder.save`."""
    described = asdict(_description(encoder))
    _save(Path(run) / "encoder.safetensors", encoder, {name: described[name] for name in FIELDS})


def _description(encoder: SkeletonEncoder) -> EncoderDescription:
    if encoder.described is None:
        raise ValueError("this encoder does not know its configuration; build it with create_encoder")
    return EncoderDescription(
        model=encoder.described,
        topologies=[topology.to_dict() for topology in encoder.topologies],
        channels=encoder.channels,
        input_spec=encoder.input_spec,
        recorded=[topology.to_dict() for topology in encoder.recorded],
    )


def describe_encoder(run: str | os.PathLike[str]) -> EncoderDescription:
    """The contents of a run's ``encoder.yaml``; `InputError` where there is none, or one of another format."""
    path = Path(run) / "encoder.yaml"
    if not path.is_file():
        raise InputError(f"{run}: expected a run with encoder.yaml and encoder.safetensors, found no {path.name}")
    fields = _of_format(path)
    for name, (kind, words) in FIELDS.items():
        if name not in fields:
            raise InputError(f"{path}: {name}: this field is missing")
        value = fields[name]
        fits = type(value) is kind and bool(value)
        if (
            not fits
            or (kind is int and not 1 <= value <= LARGEST)
            or (kind is list and not all(isinstance(item, dict) for item in value))
        ):
            raise InputError(f"{path}: {name}: expected {words}, found {shown(value)}")
    if unknown := sorted(map(str, fields.keys() - FIELDS.keys())):
        raise InputError(f"{path}: {unknown[0]}: unknown field, expected {', '.join(FIELDS)}")
    if (found := len(fields["recorded"])) != (expected := len(fields["topologies"])):
        raise InputError(f"{path}: recorded: expected {expected} skeletons, one for each of topologies, found {found}")
    prepared = parse_mapping(InputSpec, fields["input_spec"], source=path)
    return EncoderDescription(**{**fields, "input_spec": prepared})  # type: ignore[arg-type]


def _of_format(path: Path) -> Mapping[str, Any]:
    fields = read_yaml(path)
    found = fields.pop("format", None) if isinstance(fields, dict) else type(fields).__name__
    if found != FORMAT:
        raise InputError(f"{path}: format: expected {FORMAT}, found {found}")
    return fields


def new_encoder(run: str | os.PathLike[str]) -> SkeletonEncoder:
    """An encoder of a run's configuration with freshly drawn weights."""
    return create_encoder(describe_encoder(run), source=Path(run) / "encoder.yaml")


def twin(encoder: SkeletonEncoder, seed: int) -> SkeletonEncoder:
    """The same encoder with freshly drawn weights, in eval mode on the CPU; no other random state changes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_encoder(_description(encoder)).eval()


def load_encoder(run: str | os.PathLike[str], topology: Topology | None = None) -> SkeletonEncoder:
    """The encoder of a run, in eval mode on the CPU.

    Args:
        run: a folder that training or an evaluation wrote, or ``hf://owner/name``, see `masksem_graph.hub`.
        topology: another skeleton that bare arrays are then taken to be on.

    Raises:
        InputError: the files are missing or damaged, or an encoding has no entry for a joint of the topology.
    """
    run = local(run)
    path = Path(run) / "encoder.safetensors"
    build = _prepared(describe_encoder(run), path.with_suffix(".yaml"))
    weights = _read_weights(path)  # before anything is built from a description that was changed
    encoder = build().eval()
    _fill(encoder, weights, path)
    if topology is not None and topology != encoder.topology:
        # Not among those that it was trained on: `save` writes these, and tables by joint name follow their order.
        pairs = dict(zip(encoder.topologies, encoder.recorded, strict=True))
        encoder.home = topology, pairs.get(topology, topology)
        try:
            encoder.check_topology(topology)
        except InputError as error:
            raise InputError(f"{run}: {error}") from None
    return encoder


class SavedHead(NamedTuple):
    """A run's head, in eval mode on the CPU, and the names of its classes where the run knows them."""

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
    """Write a head, with its `Head.options`, into a run's folder; the other arguments are those of `HeadConfig`."""
    kind = type(head)
    described = {
        "head": {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": head.options()},
        "width": width,
        "joints": joints,
        "classes": classes if isinstance(classes, int) else list(classes),
    }
    _save(Path(run) / "head.safetensors", head, described)


def load_head(run: str | os.PathLike[str]) -> SavedHead | None:
    """The head of a run; None where it has none."""
    path = Path(run) / "head.yaml"
    if not path.is_file():
        return None
    config = parse_mapping(HeadConfig, _of_format(path), source=path)
    names = None if isinstance(config.classes, int) else tuple(config.classes)
    count = config.classes if isinstance(config.classes, int) else len(config.classes)
    for name, value in (("width", config.width), ("joints", config.joints), ("classes", count)):
        if not 1 <= value <= LARGEST:
            raise InputError(f"{path}: {name}: expected a number from 1 to {LARGEST}, found {value}")
    weights = _read_weights(path.with_suffix(".safetensors"))
    try:
        head = config.head(width=config.width, joints=config.joints, classes=count)
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"{path}: head: {' '.join(str(error).split())}") from None
    _fill(head, weights, path.with_suffix(".safetensors"))
    return SavedHead(head.eval(), names)


def _save(path: Path, network: nn.Module, described: Mapping[str, Any]) -> None:
    text = yaml.safe_dump({"format": FORMAT, **described}, sort_keys=False).encode()
    about = path.with_suffix(".yaml")
    if not about.is_file() or about.read_bytes() != text:
        with write_beside(about) as partial:
            partial.write_bytes(text)
    weights = {name: value.detach().contiguous().cpu() for name, value in network.state_dict().items()}
    with write_beside(path) as partial:
        partial.write_bytes(save(weights, {CHECKSUM: _checksum(text, weights)}))


def _read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file: what is read must be what was written."""
    about = path.with_suffix(".yaml")
    try:
        require_regular(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"{path}: {NO_WEIGHTS} {about.name}: {' '.join(str(error).split())[:300]}") from None
    # Files of before 0.2.0 have none.
    if metadata is not None and metadata.get(CHECKSUM) != _checksum(about.read_bytes(), weights):
        raise InputError(f"{path}: it or {about.name} was changed or damaged after it was written: its checksum does not fit")
    if bad := [name for name, value in weights.items() if not torch.isfinite(value).all()]:
        raise InputError(f"{path}: {bad[0]}: found numbers that are not finite, expected weights")
    return weights


def _fill(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    try:
        network.load_state_dict(weights)
    except (RuntimeError, ValueError, TypeError) as error:
        told = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: {NO_WEIGHTS} {path.with_suffix('.yaml').name}: {told}") from None


def _checksum(described: bytes, weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of a description and of the names, kinds, shapes and bytes of weights."""
    found = hashlib.sha256(described)
    for name, value in sorted(weights.items()):
        found.update(f"\n{name} {value.dtype} {list(value.shape)}\n".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
