"""A run as a checkpoint that MAMP's own code loads."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from masksem_graph.backbones import Transformer
from masksem_graph.backbones.transformer import Attention
from masksem_graph.config import parse_mapping
from masksem_graph.encodings import Learned
from masksem_graph.errors import InputError
from masksem_graph.files import write_beside
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.heads import Head, LinearHead, MLPHead
from masksem_graph.models.io import describe_encoder, load_encoder, load_head
from masksem_graph.parts import build_part
from masksem_graph.published.layout import (
    Layout,
    Sizes,
    Weights,
    decoder_layout,
    encoder_layout,
    linear_head_layout,
    mlp_head_layout,
    to_theirs,
)
from masksem_graph.training.checkpoint import load_checkpoint, write_tensors

EXPRESSIBLE = {
    "crop",
    "frames",
    "segment",
    "width",
    "encodings",
    "backbone",
    "decoder",
    "pool",
}  # of a ModelConfig in MAMP's layout


def export_run(run: Path, file: Path) -> None:
    """Write a run as a checkpoint that MAMP's own code loads: encoder, decoder and head as far as the run has them.

    Args:
        run: a converted one, or one of a transformer with learned encodings and one prediction layer.
        file: the checkpoint to write.

    Raises:
        InputError: a part of the run has no place in MAMP's layout.
    """
    encoder = load_encoder(run)
    places = _places(run, encoder)
    student = encoder.state_dict()
    decoder = _decoder(run)
    sizes = _sizes(encoder, decoder)
    state = to_theirs(student, _expected(run, "encoder", student, encoder_layout(sizes, places)))
    if decoder:
        state |= to_theirs(decoder, _expected(run, "decoder", decoder, decoder_layout(sizes, places)))
    if saved := load_head(run):
        state |= _head_state(run, saved.head, sizes)
    content = {"model": state, "args": argparse.Namespace(model_args=_model_arguments(run, encoder, sizes))}
    with write_beside(file) as partial:
        write_tensors(partial, content)


def _places(run: Path, encoder: SkeletonEncoder) -> tuple[int, int]:
    """Where the segments' and the joints' learned encodings are, once everything else fits MAMP's layout."""
    described = describe_encoder(run).model
    if type(encoder.backbone) is not Transformer:
        raise _misfit(run, "model.backbone", "Transformer", type(encoder.backbone).__name__)
    for option in dataclasses.fields(ModelConfig):
        value = described.get(option.name, option.default)
        if option.name not in EXPRESSIBLE and _name(value) != _name(option.default):
            raise _misfit(run, f"model.{option.name}", _name(option.default), _name(value))
    encodings = list(encoder.positions.encodings)
    over = ["joints" if encoding.joints is not None else "segments" for encoding in encodings if type(encoding) is Learned]
    if len(encodings) != 2 or sorted(over) != ["joints", "segments"]:
        found = ", ".join(type(encoding).__name__ for encoding in encodings) or "none"
        raise _misfit(run, "model.encodings", "Learned over segments and Learned over joints", found)
    return over.index("segments"), over.index("joints")


def _name(value: Any) -> str:
    """A field's value as text; a part's class, by path in a configuration and itself in code, by its name alone."""
    if isinstance(value, type):
        return value.__name__
    path = value.get("class_path", value) if isinstance(value, dict) and not value.get("init_args") else value
    return str(path).rpartition(".")[2] if isinstance(path, str) else str(path)


def _decoder(run: Path) -> Weights:
    if not (run / "last.pt").is_file():
        return {}
    task = load_checkpoint(run / "last.pt")["task"]
    return {name.removeprefix("decoder."): value for name, value in task.items() if name.startswith("decoder.")}


def _sizes(encoder: SkeletonEncoder, decoder: Weights) -> Sizes:
    student = encoder.state_dict()
    norms = ".norm1.weight"
    hidden = decoder.get("backbone.blocks.0.mlp.0.bias")
    return Sizes(
        channels=encoder.channels,
        segment=encoder.segment,
        segments=encoder.segments,
        joints=len(encoder.topology),
        width=encoder.width,
        depth=sum(name.endswith(norms) for name in student),
        hidden=student["backbone.blocks.0.mlp.0.bias"].shape[0],
        decoder_depth=sum(name.endswith(norms) for name in decoder),
        decoder_hidden=0 if hidden is None else hidden.shape[0],
    )


def _head_state(run: Path, head: Head, sizes: Sizes) -> Weights:
    weights = head.state_dict()
    if type(head) is LinearHead:
        if head.read != "mean":
            raise _misfit(run, "head.yaml: read", "mean", head.read)
        layout = linear_head_layout(sizes.width, head.classes, norm=head.options()["norm"])
    elif type(head) is MLPHead:
        layout = mlp_head_layout(sizes, head.hidden, head.classes)
    else:
        raise _misfit(run, "head.yaml", "LinearHead or MLPHead", type(head).__name__)
    return to_theirs(weights, _expected(run, "head", weights, layout))


def _expected(run: Path, part: str, weights: Weights, layout: Layout) -> Layout:
    """The layout, once it names exactly the weights that are there."""
    if odd := sorted(weights.keys() ^ {place.ours for place in layout.values()}):
        one_head = "; expected method.heads: shared" if odd[0].startswith("predict.") else ""
        raise InputError(f"{run}: {part}: {odd[0]} has no counterpart in MAMP's layout{one_head}")
    return layout


def _model_arguments(run: Path, encoder: SkeletonEncoder, sizes: Sizes) -> dict[str, Any]:
    """Constructor arguments of MAMP's model; a weight's shape tells all of them but the attention heads."""
    model = parse_mapping(ModelConfig, describe_encoder(run).model, source=run / "encoder.yaml")
    blocks = {
        part: build_part(make, width=sizes.width, topologies=encoder.topologies)
        for part, make in (("backbone", model.backbone), ("decoder", model.decoder))
        if part == "backbone" or sizes.decoder_depth
    }
    for part, network in blocks.items():
        if type(network) is not Transformer:
            raise _misfit(run, f"model.{part}", "Transformer", type(network).__name__)
    heads = {part: next(m.heads for m in network.modules() if isinstance(m, Attention)) for part, network in blocks.items()}
    if len(set(heads.values())) > 1:
        raise _misfit(run, "model.decoder.heads", f"{heads['backbone']} as in the encoder", str(heads["decoder"]))
    return {
        "dim_in": sizes.channels,
        "dim_feat": sizes.width,
        "depth": sizes.depth,
        "num_heads": heads["backbone"],
        "mlp_ratio": sizes.hidden / sizes.width,
        "num_frames": sizes.segments * sizes.segment,
        "num_joints": sizes.joints,
        "patch_size": 1,
        "t_patch_size": sizes.segment,
        **({"decoder_dim_feat": sizes.width, "decoder_depth": sizes.decoder_depth} if sizes.decoder_depth else {}),
    }


def _misfit(run: Path, name: str, expected: str, found: str) -> InputError:
    return InputError(f"{run}: {name}: MAMP's layout has no place for it; expected {expected}, found {found}")
