"""The one encoder: student, teacher, every protocol and every picture."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from masksem_graph.backbones import Backbone
from masksem_graph.backbones.drop_path import DropPath
from masksem_graph.errors import InputError
from masksem_graph.graph import to_segments
from masksem_graph.models.pool import Pool
from masksem_graph.models.positions import Positions
from masksem_graph.models.spaces import Space
from masksem_graph.topology import Topology


def gather_nodes(values: Float[Tensor, "B N F"], nodes: Int64[Tensor, "B n"]) -> Float[Tensor, "B n F"]:
    """The values of some nodes of each body."""
    return values.gather(1, nodes[..., None].expand(-1, -1, values.shape[-1]))


def place_nodes(
    values: Float[Tensor, "B n D"], nodes: Int64[Tensor, "B n"], token: Float[Tensor, " D"], total: int
) -> Float[Tensor, "B total D"]:
    """All nodes of each body: the values of some at their places, a token at the others."""
    whole = token.to(values.dtype).repeat(values.shape[0], total, 1)
    return whole.scatter(1, nodes[..., None].expand(-1, -1, values.shape[-1]), values)


class SkeletonEncoder(nn.Module):
    """Joint embedding + encodings + space + backbone.

    Args:
        embedding: the linear map from a node's l * C numbers to D; a strided convolution over time is the same thing.
        positions: encodings added once, before the first block.
        space: maps embedded nodes to what the backbone sees; None leaves them as they are.
        backbone: maps nodes to nodes. A token for masked ones is learned where it asks for one.
        topology: the skeleton that the nodes are on.
        frames: T, what clips are resized to.
        segment: l, frames in a segment.
        pool: which bodies count in a sequence's mean.
    """

    joint_columns: Tensor
    context_columns: Tensor

    def __init__(
        self,
        *,
        embedding: nn.Linear,
        positions: Positions,
        space: Space | None = None,
        backbone: Backbone,
        topology: Topology,
        frames: int,
        segment: int,
        pool: Pool = "present",
    ) -> None:
        super().__init__()
        self.embedding, self.positions, self.backbone = embedding, positions, backbone
        self.space = nn.Identity() if space is None else space
        self.topology, self.frames, self.segment, self.pool = topology, frames, segment, pool
        place = {joint: i for i, joint in enumerate(topology.inputs)}
        for name, joints in (("joint_columns", topology.joints), ("context_columns", topology.context)):
            self.register_buffer(name, torch.tensor([place[joint] for joint in joints], dtype=torch.int64), persistent=False)
        self.mask_token = nn.Parameter(torch.empty(self.width)) if backbone.masked == "token" else None
        if self.mask_token is not None:
            nn.init.trunc_normal_(self.mask_token, std=0.02)

    @property
    def width(self) -> int:
        """D."""
        return self.embedding.out_features

    @property
    def channels(self) -> int:
        """C, coordinates of a joint."""
        return self.embedding.in_features // self.segment

    @property
    def grid(self) -> tuple[int, int]:
        """(Te, V)."""
        return self.frames // self.segment, len(self.topology)

    def nodes(self, clips: Float[Tensor, "B T J C"]) -> Float[Tensor, "B Te V F"]:
        """Node values of clips, T frames of all input joints: joints that are context are left out."""
        return to_segments(clips if not self.topology.context else clips[:, :, self.joint_columns], self.segment)

    def _embedded(self, values: Float[Tensor, "*n F"]) -> Float[Tensor, "*n D"]:
        # In bfloat16 a metre is exact to 4 mm, which is more than most joints move in a frame.
        with torch.autocast(values.device.type, enabled=False):
            return self.embedding(values.to(self.embedding.weight.dtype))

    def embed(self, nodes: Float[Tensor, "B Te V F"]) -> Float[Tensor, "B Te V D"]:
        """Embedded nodes, encodings added, before they are mapped into the encoder's space."""
        return self.positions(self._embedded(nodes.flatten(1, 2))).view(*nodes.shape[:3], self.width)

    def embed_context(self, clips: Float[Tensor, "B T J C"]) -> Float[Tensor, "B Te context D"]:
        """Embedded context joints, which have no encodings."""
        return self._embedded(to_segments(clips[:, :, self.context_columns], self.segment))

    def layers(self) -> list[list[nn.Parameter]]:
        """Every parameter once, by depth: embedding and encodings, each layer of the backbone, and what follows the layers."""
        levels: list[list[nn.Module]] = [[self.embedding, self.positions], *self.backbone.layers(), [self]]
        placed: set[int] = set()
        out: list[list[nn.Parameter]] = []
        for level in levels:
            parameters = {id(p): p for module in level for p in module.parameters() if id(p) not in placed}
            placed |= parameters.keys()
            out.append(list(parameters.values()))
        return out

    def set_drop_path(self, rate: float) -> None:
        """Stochastic depth growing linearly from 0 in the first layer to ``rate`` in the last.

        Raises:
            InputError: the backbone has no residual branch to leave out.
        """
        layers = self.backbone.layers()
        branches = [[part for m in layer for part in m.modules() if isinstance(part, DropPath)] for layer in layers]
        if rate and not any(branches):
            raise InputError(
                f"drop_path: {type(self.backbone).__name__} has no residual branch to drop; expected 0, found {rate}"
            )
        for layer_rate, parts in zip(torch.linspace(0, rate, len(layers)).tolist(), branches, strict=True):
            for part in parts:
                part.rate = layer_rate

    def forward(self, nodes: Float[Tensor, "B Te V F"], kept: Int64[Tensor, "B n"] | None = None) -> Float[Tensor, "B n D"]:
        """Features of all nodes, or of the kept ones alone: what is masked enters by no path.

        Args:
            nodes: node values, see `nodes`.
            kept: which nodes the encoder may see, in graph order; None for all.
        """
        flat = nodes.flatten(1, 2)
        if kept is None:
            return self.backbone(self.space(self.positions(self._embedded(flat))))
        seen = self._embedded(gather_nodes(flat, kept))
        if self.mask_token is None:
            return self.backbone(self.space(self.positions(seen, kept)), kept)
        whole = place_nodes(seen, kept, self.mask_token, flat.shape[1])
        return gather_nodes(self.backbone(self.space(self.positions(whole))), kept)

    def features(self, clips: Float[Tensor, "B T J C"]) -> Float[Tensor, "B N D"]:
        """Node features of clips, one body each, already T frames long.

        Args:
            clips: all input joints of the topology, in the order of its ``inputs``; without context joints J is V.

        Raises:
            InputError: frames, joints or coordinates are not those of this encoder.
        """
        expected = (self.frames, len(self.topology.inputs), self.channels)
        if clips.ndim != 4 or tuple(clips.shape[1:]) != expected:
            raise InputError(f"clips: expected [B, T, V, C] = [B, {', '.join(map(str, expected))}], found {list(clips.shape)}")
        return self(self.nodes(clips))

    def absent_features(self) -> Float[Tensor, "1 N D"] | None:
        """Features of the all-zero body that stands in an empty slot under ``pool: all_slots``; None under ``present``."""
        if self.pool == "present":
            return None
        segments, joints = self.grid
        return self(self.embedding.weight.new_zeros(1, segments, joints, self.embedding.in_features))


@torch.no_grad()
def update_average(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Exponential moving average: ``theta <- m theta + (1 - m) phi`` for every parameter."""
    averaged: list[Tensor] = list(teacher.parameters())
    current: list[Tensor] = list(student.parameters())
    torch._foreach_lerp_(averaged, current, 1 - momentum)
