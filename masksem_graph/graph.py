"""The spatio-temporal skeleton graph as torch_geometric data.

A node is one joint during one segment of ``l`` frames. Nodes are segment-major: node ``te * V + v`` of a body is joint ``v``
in segment ``te``. Bones join nodes within a segment, time joins a joint to itself in the next segment, both in both
directions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch_geometric.data import Data

from masksem_graph.topology import Topology

BONE, TIME = 0, 1


@lru_cache(maxsize=64)
def skeleton_edges(topology: Topology, segments: int) -> tuple[Int64[Tensor, "2 E"], Int64[Tensor, " E"]]:
    """Edges of one body's graph.

    Returns:
        ``edge_index`` [2, E] and ``edge_type`` [E], `BONE` or `TIME`.
    """
    joints = len(topology)
    pairs = [[topology.index[a], topology.index[b]] for a, b in topology.bones]
    bones = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
    bones = torch.cat([bones, bones.flip(0)], 1)
    bones = (bones[:, None, :] + joints * torch.arange(segments)[None, :, None]).reshape(2, -1)
    now = torch.arange((segments - 1) * joints)
    time = torch.stack([torch.cat([now, now + joints]), torch.cat([now + joints, now])])
    types = torch.cat([torch.full((bones.shape[1],), BONE), torch.full((time.shape[1],), TIME)])
    return torch.cat([bones, time], 1), types


@lru_cache(maxsize=64)
def _repeated_edges(
    topology: Topology, segments: int, bodies: int, device: torch.device
) -> tuple[Int64[Tensor, "2 E"], Int64[Tensor, " E"]]:
    index, types = skeleton_edges(topology, segments)
    offset = segments * len(topology) * torch.arange(bodies)
    index = (index[:, None, :] + offset[None, :, None]).reshape(2, -1)
    return index.to(device), types.repeat(bodies).to(device)


def to_segments(clips: Float[Tensor, "B T V C"], length: int) -> Float[Tensor, "B Te V F"]:
    """Group frames into segments: node values [B, T / l, V, l * C], laid out (frame, coordinate) within a node."""
    bodies, frames, joints, channels = clips.shape
    grouped = clips.reshape(bodies, frames // length, length, joints, channels)
    return grouped.transpose(2, 3).reshape(bodies, frames // length, joints, length * channels)


class SkeletonBatch(Data):
    """Skeleton graphs of one or several sequences: torch_geometric `Data`, accepted by its layers, loaders and transforms.

    Attributes:
        x: node values, [B * Te * V, l * C].
        edge_index, edge_type: [2, E] and [E]; `BONE` or `TIME`.
        body: the body that each node belongs to, [B * Te * V].
        batch: the sequence that each node belongs to, [B * Te * V].
        y: label of each sequence, [S]; -1 where there is none.
        grid: (Te, V) of every body; a list of such pairs, one a clip, behind a torch_geometric loader.
    """

    @property
    def segments_and_joints(self) -> tuple[int, int]:
        """Te and V, the same for every body."""
        # torch_geometric turns the pair into a list when it copies or moves a graph, and lists pairs when it collates.
        grid = self.grid
        segments, joints = grid if isinstance(grid[0], int) else grid[0]
        return segments, joints

    @classmethod
    def from_bodies(
        cls,
        nodes: Float[Tensor, "B Te V F"],
        *,
        topology: Topology,
        sequence: Int64[Tensor, " B"],
        y: Int64[Tensor, " S"],
    ) -> SkeletonBatch:
        """Lay bodies out as one graph.

        Args:
            nodes: values of every present body's nodes.
            topology: whose bones join the joints.
            sequence: the sequence of each body, from 0, ascending.
            y: label of each sequence.
        """
        bodies, segments, joints, features = nodes.shape
        edge_index, edge_type = _repeated_edges(topology, segments, bodies, nodes.device)
        per_body = segments * joints
        return cls(
            x=nodes.reshape(-1, features),
            edge_index=edge_index,
            edge_type=edge_type,
            body=torch.arange(bodies, device=nodes.device).repeat_interleave(per_body),
            batch=sequence.repeat_interleave(per_body),
            y=y,
            grid=(segments, joints),
        )

    @property
    def num_bodies(self) -> int:
        """Bodies in the batch, B."""
        segments, joints = self.segments_and_joints
        return self.x.shape[0] // (segments * joints)

    @property
    def dense(self) -> Float[Tensor, "B Te V F"]:
        """The same node values as a dense array, without a copy."""
        segments, joints = self.segments_and_joints
        return self.x.view(-1, segments, joints, self.x.shape[-1])

    @property
    def sequence(self) -> Int64[Tensor, " B"]:
        """The sequence of each body."""
        segments, joints = self.segments_and_joints
        return self.batch.view(-1, segments * joints)[:, 0]

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        # Loaders put clips behind each other: bodies count on from those before, sequences from one item a clip.
        if key == "body":
            return self.num_bodies
        if key == "batch":
            return self.y.shape[0]
        return super().__inc__(key, value, *args, **kwargs)
