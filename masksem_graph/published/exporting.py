"""A run as a checkpoint that MAMP's own code loads."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from torch import nn

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
from masksem_graph.published import layout
from masksem_graph.published.layout import Layout, Sizes, Weights
from masksem_graph.training.checkpoint import load_checkpoint, write_tensors

EXPRESSIBLE = {"crop", "frames", "segment", "width", "encodings", "backbone", "decoder", "pool"}
"""Fields of a `ModelConfig` that MAMP's layout has a place for."""


def export_run(run: Path, file: Path) -> None:
    """Write a run as a checkpoint that MAMP's own code loads: encoder, decoder and head as far as the run has them.

    An `InputError` where a part of the run has no place in MAMP's layout: it has to be a converted one, or one of a
    transformer with learned encodings and one prediction layer.
    """
    encoder = load_encoder(run)
    places = _places(run, encoder)
    task = load_checkpoint(run / "last.pt")["task"] if (run / "last.pt").is_file() else {}
    decoder = {name.removeprefix("decoder."): value for name, value in task.items() if name.startswith("decoder.")}
    sizes = _sizes(encoder, decoder)
    state = _theirs(run, "encoder", encoder.state_dict(), layout.encoder_layout(sizes, places))
    if decoder:
        state |= _theirs(run, "decoder", decoder, layout.decoder_layout(sizes, places))
    if saved := load_head(run):
        state |= _theirs(run, "head", saved.head.state_dict(), _head_layout(run, saved.head, sizes))
    content = {"model": state, "args": argparse.Namespace(model_args=_model_arguments(run, encoder, sizes))}
    with write_beside(file) as partial:
        write_tensors(partial, content)


def _places(run: Path, encoder: SkeletonEncoder) -> tuple[int, int]:
    """Where the segments' and the joints' learned encodings are, once everything else fits MAMP's layout."""
    described = describe_encoder(run).model
    if type(encoder.backbone) is not Transformer:
        raise _misfit(run, "model.backbone", "Transformer", type(encoder.backbone).__name__)
    for option in dataclasses.fields(ModelConfig):
        found, default = _name(described.get(option.name, option.default)), _name(option.default)
        if option.name not in EXPRESSIBLE and found != default:
            raise _misfit(run, f"model.{option.name}", default, found)
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


def _sizes(encoder: SkeletonEncoder, decoder: Weights) -> Sizes:
    def blocks(weights: Weights) -> tuple[int, int]:
        depth = sum(name.endswith(".norm1.weight") for name in weights)
        return depth, len(weights.get("backbone.blocks.0.mlp.0.bias", ()))

    of_clips = (encoder.channels, encoder.segment, encoder.segments, len(encoder.topology))
    return Sizes(*of_clips, encoder.width, *blocks(encoder.state_dict()), *blocks(decoder))


def _head_layout(run: Path, head: Head, sizes: Sizes) -> Layout:
    if type(head) is MLPHead:
        return layout.mlp_head_layout(sizes, head.hidden, head.classes)
    if type(head) is not LinearHead:
        raise _misfit(run, "head.yaml", "LinearHead or MLPHead", type(head).__name__)
    if head.read != "mean":
        raise _misfit(run, "head.yaml: read", "mean", head.read)
    return layout.linear_head_layout(sizes.width, head.classes, norm=head.options()["norm"])


def _theirs(run: Path, part: str, weights: Weights, places: Layout) -> Weights:
    """The weights in the layout, once it names exactly those that are there."""
    if odd := sorted(weights.keys() ^ {place.ours for place in places.values()}):
        one_head = "; expected method.heads: shared" if odd[0].startswith("predict.") else ""
        raise InputError(f"{run}: {part}: {odd[0]} has no counterpart in MAMP's layout{one_head}")
    return layout.to_theirs(weights, places)


def _model_arguments(run: Path, encoder: SkeletonEncoder, sizes: Sizes) -> dict[str, Any]:
    """Constructor arguments of MAMP's model; a weight's shape tells all of them but the attention heads."""

    def heads_of(network: nn.Module) -> int:
        return next(module.heads for module in network.modules() if isinstance(module, Attention))

    heads = heads_of(encoder.backbone)
    if sizes.decoder_depth:
        model = parse_mapping(ModelConfig, describe_encoder(run).model, source=run / "encoder.yaml")
        decoder: Any = build_part(model.decoder, width=sizes.width, topologies=encoder.topologies)
        if type(decoder) is not Transformer:
            raise _misfit(run, "model.decoder", "Transformer", type(decoder).__name__)
        if (found := heads_of(decoder)) != heads:
            raise _misfit(run, "model.decoder.heads", f"{heads} as in the encoder", str(found))
    return {
        "dim_in": sizes.channels,
        "dim_feat": sizes.width,
        "depth": sizes.depth,
        "num_heads": heads,
        "mlp_ratio": sizes.hidden / sizes.width,
        "num_frames": sizes.segments * sizes.segment,
        "num_joints": sizes.joints,
        "patch_size": 1,
        "t_patch_size": sizes.segment,
        **({"decoder_dim_feat": sizes.width, "decoder_depth": sizes.decoder_depth} if sizes.decoder_depth else {}),
    }


def _misfit(run: Path, name: str, expected: str, found: str) -> InputError:
    return InputError(f"{run}: {name}: MAMP's layout has no place for it; expected {expected}, found {found}")
