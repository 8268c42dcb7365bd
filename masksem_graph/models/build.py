"""The configuration of a model, and the encodings that its encoder and its decoder both have."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from masksem_graph.backbones import BackboneFactory
from masksem_graph.data.views import CropConfig
from masksem_graph.encodings import EncodingFactory, Positions
from masksem_graph.errors import InputError, require_range
from masksem_graph.models.pool import Pool
from masksem_graph.models.spaces import Space
from masksem_graph.topology import Topology

LARGEST = 2**16
"""Of frames, features, joints and classes: more is a slip, and would fill any memory."""


@dataclass(frozen=True)
class ModelConfig:
    """The networks, and how a clip becomes what they see.

    Args:
        frames: T, frames of a clip after crop and resize.
        segment: l, frames in one segment; divides ``frames``.
        width: D, features of a node.
        encodings: positional encodings to add up; the decoder has its own set of the same.
        backbone: the encoder's blocks.
        decoder: the decoder's blocks.
        space: where embedded nodes live before the encoder's first block; null for where they are.
        topology: whose joints the nodes are, by name or path, ``{data}`` standing for the name of the data's own topology,
            which it is where omitted.
        pool: a sequence's feature is the mean over its present bodies, or over all slots of the community's arrays, where an
            absent body is encoded as all zeros.
        crop: which part of a clip is resized to ``frames``.
    """

    frames: int
    segment: int
    width: int
    encodings: list[EncodingFactory]
    backbone: BackboneFactory
    decoder: BackboneFactory
    space: Space | None = None
    topology: str | None = None
    pool: Pool = "present"
    crop: CropConfig = field(default_factory=CropConfig)

    def __post_init__(self) -> None:
        for name in ("frames", "segment", "width"):
            require_range(f"model.{name}", getattr(self, name), 1, LARGEST)
        if self.frames % self.segment:
            raise InputError(f"model.frames: expected a multiple of model.segment = {self.segment}, found {self.frames}")

    @property
    def segments(self) -> int:
        """Te."""
        return self.frames // self.segment


def joint_names(topologies: Sequence[Topology]) -> tuple[str, ...]:
    """The names of all joints that are nodes on some skeleton, in the order in which they come up."""
    return tuple(dict.fromkeys(joint for topology in topologies for joint in topology.joints))


def build_positions(config: ModelConfig, topologies: Sequence[Topology]) -> Positions:
    """The sum of the configured encodings."""
    return Positions(width=config.width, joints=joint_names(topologies), segments=config.segments, encodings=config.encodings)
