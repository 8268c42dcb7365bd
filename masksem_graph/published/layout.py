"""MAMP's published layout as data: each weight's name and shape there, and its name here. Nothing is lost either way."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

Weights = dict[str, Tensor]


class Place(NamedTuple):
    """Where a published weight belongs: its name here, and its shape there."""

    ours: str
    shape: tuple[int, ...]


Layout = dict[str, Place]
"""The authors' name of each weight -> its place."""
KERNEL = "joints_embed.proj.weight"
"""A convolution [D, C, l, 1] there; here a node's numbers lie (frame, coordinate)."""


class Sizes(NamedTuple):
    """C, l, Te, V and D of a published model; blocks of encoder and decoder, 0 without one, and the width of their MLPs."""

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
    """Of an encoder, student or teacher; ``places`` of the segments' and the joints' learned encoding among our encodings."""
    width = sizes.width
    return {
        **_encodings("", sizes, places),
        KERNEL: Place("embedding.weight", (width, sizes.channels, sizes.segment, 1)),
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
    return {**_statistics("head.fc.0", width), **_layer("head.fc.1", "linear", classes, width)}


def mlp_head_layout(sizes: Sizes, hidden: int, classes: int) -> Layout:
    """Of the head that is fine-tuned."""
    return {
        **_layer("head.fc1", "project", hidden, sizes.joints * sizes.width),
        **_layer("head.bn", "norm", hidden),
        **_statistics("head.bn", hidden),
        **_layer("head.fc2", "classify", classes, hidden),
    }


def _layer(theirs: str, ours: str, *shape: int) -> Layout:
    return {f"{theirs}.weight": Place(f"{ours}.weight", shape), f"{theirs}.bias": Place(f"{ours}.bias", shape[:1])}


def _statistics(theirs: str, width: int) -> Layout:
    shapes = {"running_mean": (width,), "running_var": (width,), "num_batches_tracked": ()}
    return {f"{theirs}.{kind}": Place(f"norm.{kind}", shape) for kind, shape in shapes.items()}


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
    found = {}
    for name, place in layout.items():
        value = state[name].detach()
        if name == KERNEL:
            value = value[..., 0].transpose(1, 2).flatten(1)
        elif name == "mask_token":
            value = value[0, 0]
        elif name.endswith(("temp_embed", "pos_embed")):
            value = value[0]
        found[place.ours] = value.contiguous()
    return found


def to_theirs(state: Mapping[str, Any], layout: Layout) -> Weights:
    """The inverse of `to_ours`."""
    found = {}
    for name, (ours, shape) in layout.items():
        value = state[ours]
        if name == KERNEL:
            width, channels, segment, _ = shape
            value = value.view(width, segment, channels).transpose(1, 2)
        found[name] = value.reshape(shape).contiguous()
    return found
