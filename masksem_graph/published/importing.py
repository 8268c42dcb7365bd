"""A published checkpoint as a run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from masksem_graph.data.input_spec import InputSpec
from masksem_graph.errors import InputError
from masksem_graph.files import digest, write_beside
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.heads import Head, LinearHead, MLPHead
from masksem_graph.models.io import EncoderDescription, create_encoder, save_encoder, save_head
from masksem_graph.published.checkpoint import Published, read_published
from masksem_graph.published.layout import Sizes
from masksem_graph.run_folder import MARKER
from masksem_graph.topology import Topology, load_topology
from masksem_graph.training.checkpoint import save_checkpoint

PUBLISHED_WIDTH, PUBLISHED_HEADS, PUBLISHED_DECODER = 256, 8, 3  # D, attention heads, blocks of the decoder for NTU-60


def import_run(file: Path, run: Path, *, topology: str = "ntu25", heads: int | None = None) -> Published:
    """Turn a published checkpoint into a run that evaluates, that training starts from, and that ``load_encoder`` reads.

    The run has ``pool: all_slots``: published features are means over both body slots.

    Args:
        file: the checkpoint.
        run: the folder to write; it appears whole or not at all.
        topology: the skeleton of the checkpoint's joints.
        heads: attention heads, where the file does not say how many; its weights do not tell.

    Returns:
        what was found in the file.

    Raises:
        InputError: not such a checkpoint, or ``topology`` or ``heads`` do not fit it.
    """
    found = read_published(file)
    skeleton = load_topology(topology)
    if len(skeleton) != found.sizes.joints:
        raise InputError(
            f"{file}: found {found.sizes.joints} joints, and {skeleton.name} has {len(skeleton)}; "
            "expected the checkpoint's own skeleton as --topology"
        )
    model = _model(found.sizes, _attention_heads(file, found, heads))
    encoder = _encoder(model, found, skeleton, file)
    with write_beside(run) as partial:
        partial.mkdir()
        (partial / MARKER).write_text("conversion\n")
        save_encoder(partial, encoder)
        if "head" in found.parts:
            head = _head(found)
            save_head(partial, head, width=found.sizes.width, joints=found.sizes.joints, classes=head.classes)
        (partial / "config.yaml").write_text(yaml.safe_dump(_config(file, found, model), sort_keys=False))
        networks = {part: weights for part, weights in found.parts.items() if part != "head"}
        task = {f"{part}.{name}": value for part, weights in networks.items() for name, value in weights.items()}
        save_checkpoint(partial / "last.pt", {"task": task, "epoch": found.epoch or 0, "finished": True})
    return found


def _attention_heads(file: Path, found: Published, given: int | None) -> int:
    own, width = found.attention_heads, found.sizes.width
    if own is not None and given is not None and own != given:
        raise InputError(f"--heads: the file says {own} attention heads, found {given}; expected {own}, or no --heads")
    heads = given if own is None else own
    if heads is None and width == PUBLISHED_WIDTH:
        heads = PUBLISHED_HEADS
    if heads is None:
        raise InputError(
            f"{file}: nothing in it says how many attention heads it has; expected --heads N "
            f"(the published models, of width {PUBLISHED_WIDTH}, have {PUBLISHED_HEADS}; this one is of width {width})"
        )
    if heads < 1 or width % heads:
        raise InputError(f"--heads: expected a divisor of the width {width}, found {heads}")
    return heads


def _model(sizes: Sizes, heads: int) -> dict[str, Any]:
    """The `ModelConfig`, as plain data."""

    def part(path: str, **options: Any) -> dict[str, Any]:
        return {"class_path": f"masksem_graph.{path}", "init_args": options}

    def blocks(depth: int, hidden: int) -> dict[str, Any]:
        return part("backbones.Transformer", depth=depth, heads=heads, mlp_ratio=hidden / sizes.width)

    # An evaluation's checkpoint has no decoder; the entry says what a later pre-training would build.
    decoder = (sizes.decoder_depth, sizes.decoder_hidden) if sizes.decoder_depth else (PUBLISHED_DECODER, sizes.hidden)
    return {
        "frames": sizes.segments * sizes.segment,
        "segment": sizes.segment,
        "width": sizes.width,
        "encodings": [part("encodings.Learned", over="segments"), part("encodings.Learned", over="joints")],
        "backbone": blocks(sizes.depth, sizes.hidden),
        "decoder": blocks(*decoder),
        "pool": "all_slots",
    }


def _encoder(model: dict[str, Any], found: Published, topology: Topology, file: Path) -> SkeletonEncoder:
    encoder = create_encoder(
        EncoderDescription(
            model=model,
            topologies=[topology.to_dict()],
            channels=found.sizes.channels,
            input_spec=InputSpec(absent_frames="zero"),  # as the community's arrays, which the model was trained on
        ),
        source=file,
    )
    encoder.load_state_dict(found.parts["student"])
    return encoder.eval()


def _head(found: Published) -> Head:
    weights, sizes = found.parts["head"], found.sizes
    head: Head
    if "project.weight" in weights:
        hidden, classes = weights["project.bias"].shape[0], weights["classify.bias"].shape[0]
        head = MLPHead(width=sizes.width, joints=sizes.joints, classes=classes, hidden=hidden)
    else:
        norm = "norm.running_mean" in weights
        head = LinearHead(width=sizes.width, classes=weights["linear.bias"].shape[0], norm=norm)
    head.load_state_dict(weights)
    return head.eval()


def _config(file: Path, found: Published, model: dict[str, Any]) -> dict[str, Any]:
    """What is known of how the model was trained; evaluation takes its defaults from here."""
    return {
        "converted": {
            "file": file.name,
            "sha256": digest(file),
            "kind": found.kind,
            "epoch": found.epoch,
            "arguments": _plain(found.arguments),
        },
        "data": {"absent_frames": "zero"},
        "model": model,
        "augment": [{"class_path": "masksem_graph.data.transforms.Rotate", "init_args": {"x": 0.3, "y": 0.3, "z": 0.3}}],
    }


def _plain(value: Any) -> Any:
    """The same as mappings, lists, numbers and strings; anything else as its text."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
