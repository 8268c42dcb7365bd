"""A published checkpoint as a run's folder."""

from pathlib import Path
from typing import Any

import numpy as np

from masksem_graph.compose import plain_copy
from masksem_graph.data.input_spec import InputSpec
from masksem_graph.errors import InputError
from masksem_graph.files import digest, write_beside
from masksem_graph.models.heads import Head, LinearHead, MLPHead
from masksem_graph.models.io import EncoderDescription, create_encoder, save_encoder, save_head
from masksem_graph.plain_yaml import write_plain
from masksem_graph.published.checkpoint import Published, read_published
from masksem_graph.run_folder import MARKER
from masksem_graph.topology import load_topology
from masksem_graph.training.checkpoint import save_checkpoint

PUBLISHED_WIDTH, PUBLISHED_HEADS, PUBLISHED_DECODER = 256, 8, 3  # D, attention heads, blocks of the decoder for NTU-60


def import_run(file: Path, run: Path, *, topology: str = "ntu25", heads: int | None = None) -> Published:
    """Turn a published checkpoint into a run that evaluates, that training starts from, and that ``load_encoder`` reads.

    The run has ``pool: all_slots``: published features are means over both body slots. Its folder appears whole or not at all.

    Args:
        file, run: the checkpoint, and the folder to write.
        topology: the skeleton of the checkpoint's joints.
        heads: attention heads, where the file does not say how many; its weights do not tell.

    Raises:
        InputError: not such a checkpoint, or ``topology`` or ``heads`` do not fit it.
    """
    found = read_published(file)
    skeleton, joints = load_topology(topology), found.sizes.joints
    if len(skeleton) != joints:
        raise InputError(
            f"{file}: found {joints} joints, and {skeleton.name} has {len(skeleton)}; "
            "expected the checkpoint's own skeleton as --topology"
        )
    model = _model(found, _attention_heads(file, found, heads))
    spec = InputSpec(absent_frames="zero")  # as the community's arrays, which the model was trained on
    description = EncoderDescription(model, [skeleton.to_dict()], found.sizes.channels, spec)
    encoder = create_encoder(description, source=file)
    encoder.load_state_dict(found.parts["student"])
    with write_beside(run) as partial:
        partial.mkdir()
        (partial / MARKER).write_text("conversion\n")
        save_encoder(partial, encoder.eval())
        if "head" in found.parts:
            head = _head(found)
            save_head(partial, head, width=found.sizes.width, joints=joints, classes=head.classes)
        write_plain(partial / "config.yaml", _config(file, found, model))
        networks = {part: weights for part, weights in found.parts.items() if part != "head"}
        task = {f"{part}.{name}": value for part, weights in networks.items() for name, value in weights.items()}
        save_checkpoint(partial / "last.pt", {"task": task, "epoch": found.epoch or 0, "finished": True})
    return found


def _attention_heads(file: Path, found: Published, given: int | None) -> int:
    own, width = found.attention_heads, found.sizes.width
    if own is not None and given not in (None, own):
        raise InputError(f"--heads: the file says {own} attention heads, found {given}; expected {own}, or no --heads")
    usual = PUBLISHED_HEADS if width == PUBLISHED_WIDTH else None
    heads = next((number for number in (own, given, usual) if number is not None), None)
    if heads is None:
        raise InputError(
            f"{file}: nothing in it says how many attention heads it has; expected --heads N (this one is of width {width})"
        )
    if heads < 1 or width % heads:
        raise InputError(f"--heads: expected a divisor of the width {width}, found {heads}")
    return heads


def _part(path: str, **options: Any) -> dict[str, Any]:
    return {"class_path": f"masksem_graph.{path}", "init_args": options}


def _model(found: Published, heads: int) -> dict[str, Any]:
    """The `ModelConfig`, as plain data."""
    sizes = found.sizes
    # An evaluation's checkpoint has no decoder; the entry says what a later pre-training would build.
    decoder = (sizes.decoder_depth, sizes.decoder_hidden) if sizes.decoder_depth else (PUBLISHED_DECODER, sizes.hidden)
    backbone, decoder_blocks = (
        _part("backbones.Transformer", depth=depth, heads=heads, mlp_ratio=hidden / sizes.width)
        for depth, hidden in ((sizes.depth, sizes.hidden), decoder)
    )
    return {
        "frames": sizes.segments * sizes.segment,
        "segment": sizes.segment,
        "width": sizes.width,
        "encodings": [_part("encodings.Learned", over=over) for over in ("segments", "joints")],
        "backbone": backbone,
        "decoder": decoder_blocks,
        "pool": "all_slots",
    }


def _head(found: Published) -> Head:
    weights, sizes = found.parts["head"], found.sizes
    head: Head
    if "project.weight" in weights:
        hidden, classes = len(weights["project.bias"]), len(weights["classify.bias"])
        head = MLPHead(width=sizes.width, joints=sizes.joints, classes=classes, hidden=hidden)
    else:
        head = LinearHead(width=sizes.width, classes=len(weights["linear.bias"]), norm="norm.running_mean" in weights)
    head.load_state_dict(weights)
    return head.eval()


def _config(file: Path, found: Published, model: dict[str, Any]) -> dict[str, Any]:
    """What is known of how the model was trained; evaluation takes its defaults from here."""
    told = {"kind": found.kind, "epoch": found.epoch, "arguments": plain_copy(found.arguments, _plain)}
    return {
        "converted": {"file": file.name, "sha256": digest(file), **told},
        "data": {"absent_frames": "zero"},
        "model": model,
        "augment": [_part("data.transforms.Rotate", x=0.3, y=0.3, z=0.3)],
    }


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
