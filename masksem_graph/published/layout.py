"""MAMP's published layout as data: each weight's name and shape there, and its name here. Nothing is lost either way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

Weights = dict[str, Tensor]


class Place(NamedTuple):
    """Where a published weight belongs: its name here, and its shape there."""

    ours: str
    shape: tuple[int, ...]


Layout = dict[str, Place]
"""The authors' name of each weight -> its place."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of a published model.

    Args:
        channels, segment, segments, joints: C, l, Te, V.
        width: D.
        depth, hidden: blocks of the encoder, and the width of their MLP.
        decoder_depth, decoder_hidden: likewise of the decoder; 0 without one.
    """

    channels: int
    segment: int
    segments: int
    joints: int
    width: int
    depth: int
    hidden: int
    decoder_depth: int = 0
    decoder_hidden: int = 0


def encoder_layout(sizes: Sizes, places: tuple[int, int] = (0, 1)) -> Layout:
    """Of an encoder, student or teacher.

    Args:
        sizes: of the model.
        places: of the segments' and of the joints' learned encoding among our encodings.
    """
    width = sizes.width
    return {
        **_encodings("", sizes, places),
        "joints_embed.proj.weight": Place("embedding.weight", (width, sizes.channels, sizes.segment, 1)),
        "joints_embed.proj.bias": Place("embedding.bias", (width,)),
        **_blocks("blocks", width, sizes.hidden, sizes.depth),
        **_layer("norm", "backbone.norm", width),
    }


def decoder_layout(sizes: Sizes, places: tuple[int, int] = (0, 1)) -> Layout:
    """Of a decoder; see `encoder_layout`."""
    width = sizes.width
    return {
        "mask_token": Place("mask_token", (1, 1, width)),
        **_encodings("decoder_", sizes, places),
        **_layer("decoder_embed", "embedding", width, width),
        **_blocks("decoder_blocks", width, sizes.decoder_hidden, sizes.decoder_depth),
        **_layer("decoder_norm", "backbone.norm", width),
        **_layer("decoder_pred", "predict.shared", sizes.segment * sizes.channels, width),
    }


def linear_head_layout(width: int, classes: int, *, norm: bool) -> Layout:
    """Of a linear head; with a BatchNorm before it, the published probe keeps both under numbers."""
    if not norm:
        return _layer("head.fc", "linear", classes, width)
    return {**_statistics("head.fc.0", "norm", width), **_layer("head.fc.1", "linear", classes, width)}


def mlp_head_layout(sizes: Sizes, hidden: int, classes: int) -> Layout:
    """Of the head that is fine-tuned."""
    return {
        **_layer("head.fc1", "project", hidden, sizes.joints * sizes.width),
        **_layer("head.bn", "norm", hidden),
        **_statistics("head.bn", "norm", hidden),
        **_layer("head.fc2", "classify", classes, hidden),
    }


def _layer(theirs: str, ours: str, *shape: int) -> Layout:
    return {
        f"{theirs}.weight": Place(f"{ours}.weight", shape),
        f"{theirs}.bias": Place(f"{ours}.bias", shape[:1]),
    }


def _statistics(theirs: str, ours: str, width: int) -> Layout:
    shapes = {"running_mean": (width,), "running_var": (width,), "num_batches_tracked": ()}
    return {f"{theirs}.{kind}": Place(f"{ours}.{kind}", shape) for kind, shape in shapes.items()}


def _encodings(prefix: str, sizes: Sizes, places: tuple[int, int]) -> Layout:
    over_segments, over_joints = (f"positions.encodings.{place}.table" for place in places)
    return {
        f"{prefix}temp_embed": Place(over_segments, (1, sizes.segments, 1, sizes.width)),
        f"{prefix}pos_embed": Place(over_joints, (1, 1, sizes.joints, sizes.width)),
    }


def _blocks(prefix: str, width: int, hidden: int, depth: int) -> Layout:
    layout: Layout = {}
    for i in range(depth):
        theirs, ours = f"{prefix}.{i}", f"backbone.blocks.{i}"
        layout |= _layer(f"{theirs}.norm1", f"{ours}.norm1", width)
        layout |= _layer(f"{theirs}.attn.qkv", f"{ours}.attention.qkv", 3 * width, width)
        layout |= _layer(f"{theirs}.attn.proj", f"{ours}.attention.proj", width, width)
        layout |= _layer(f"{theirs}.norm2", f"{ours}.norm2", width)
        layout |= _layer(f"{theirs}.mlp.fc1", f"{ours}.mlp.0", hidden, width)
        layout |= _layer(f"{theirs}.mlp.fc2", f"{ours}.mlp.2", width, hidden)
    return layout


def to_ours(state: Mapping[str, Any], layout: Layout) -> Weights:
    """A layout's weights under our names and in our shapes."""
    return {place.ours: _to_our_shape(name, state[name].detach()).contiguous() for name, place in layout.items()}


def to_theirs(state: Mapping[str, Any], layout: Layout) -> Weights:
    """The inverse of `to_ours`."""
    return {name: _to_their_shape(name, state[place.ours], place.shape).contiguous() for name, place in layout.items()}


def _to_our_shape(name: str, value: Tensor) -> Tensor:
    if name == "joints_embed.proj.weight":  # a convolution [D, C, l, 1]; a node's numbers lie (frame, coordinate)
        return value[..., 0].transpose(1, 2).flatten(1)
    if name == "mask_token":
        return value[0, 0]
    return value[0] if name.endswith(("temp_embed", "pos_embed")) else value


def _to_their_shape(name: str, value: Tensor, shape: tuple[int, ...]) -> Tensor:
    if name == "joints_embed.proj.weight":
        width, channels, segment, _ = shape
        return value.view(width, segment, channels).transpose(1, 2)[..., None]
    return value.view(shape)
