"""The spatio-temporal skeleton graph: the one source of edges, and the batch that flows from the loader to the loss.

A node is one joint during one segment of ``l`` frames. Nodes are segment-major: node ``te * V + v`` of a body is joint ``v``
in segment ``te``. Bones join nodes within a segment, time joins a joint to itself in the next segment, both in both
directions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from typing import Any

import networkx as nx
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.storage import EdgeStorage
from torch_geometric.utils import coalesce, to_networkx

from masksem_graph.errors import InputError
from masksem_graph.topology import Topology

BONES, STEPS, OUTWARD = 0, 1, 2
"""Columns of ``edge_attr``: bones between the joints; segments from source to target, negative backwards in time; and bones
that the target is further from the topology's centre than the source."""


def of_topology(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorator: a tensor that follows from a topology and plain options, made once for each device (``device=``)."""

    @lru_cache(maxsize=64)
    @torch.inference_mode(False)  # what is kept must serve training too
    @wraps(make)
    def cached(topology: Topology, *options: Any, device: torch.device | None = None) -> Tensor:
        return make(topology, *options).to(device)

    return cached


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def skeleton_graph(topology: Topology, segments: int = 1) -> Data:
    """The spatio-temporal graph of one body; every other structure on a skeleton is made from it.

    Args:
        topology: whose bones join the joints.
        segments: Te.

    Returns:
        ``edge_index`` [2, E], sorted by target; ``edge_attr`` [E, 3], see `BONES`, `STEPS`, `OUTWARD`; ``joint`` and
        ``segment`` of each node, [Te * V].
    """
    joints = len(topology)
    pairs = torch.tensor([[topology.index[a], topology.index[b]] for a, b in topology.bones], dtype=torch.int64)
    bones = torch.cat([pairs.reshape(-1, 2), pairs.reshape(-1, 2).flip(1)]).T
    depth = _depth(topology)
    steps = torch.zeros_like(bones[0])
    of_bones = torch.stack([torch.ones_like(steps), steps, depth[bones[1]] - depth[bones[0]]], 1)
    offset = joints * torch.arange(segments)
    in_space = (bones[:, None, :] + offset[None, :, None]).reshape(2, -1)
    now = torch.arange((segments - 1) * joints)
    in_time = torch.stack([torch.cat([now, now + joints]), torch.cat([now + joints, now])])
    forwards = torch.tensor([0, 1, 0]).expand(len(now), 3)
    index, attributes = coalesce(
        torch.cat([in_space, in_time], 1),
        torch.cat([of_bones.repeat(segments, 1), forwards, -forwards]),
        num_nodes=segments * joints,
        sort_by_row=False,
    )
    places = torch.arange(segments * joints)
    return Data(edge_index=index, edge_attr=attributes, joint=places % joints, segment=places // joints, num_nodes=len(places))


def _depth(topology: Topology) -> Int64[Tensor, " V"]:
    """Bones between each joint and the centre."""
    depth = nx.single_source_shortest_path_length(
        nx.Graph([*topology.bones, (topology.centre, topology.centre)]), topology.centre
    )
    return torch.tensor([depth[joint] for joint in topology.joints])


@of_topology
def hop_distance(topology: Topology) -> Int64[Tensor, "V V"]:
    """Bones on the shortest path between two joints."""
    distance = torch.zeros(len(topology), len(topology), dtype=torch.int64)
    for joint, reached in nx.all_pairs_shortest_path_length(to_networkx(skeleton_graph(topology), to_undirected=True)):
        distance[joint, list(reached)] = torch.tensor(list(reached.values()))
    return distance


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def reach_graph(topology: Topology, segments: int, hops: int) -> Data:
    """The graph that joins nodes at most ``hops`` bones and steps in time apart, both together; `skeleton_graph` at 1."""
    graph = skeleton_graph(topology, segments)
    if hops == 1:
        return graph
    if hops < 1:
        raise InputError(f"hops: expected at least 1, found {hops}")
    index, attributes = _near(topology, torch.arange(graph.num_nodes)[None], hops)
    return Data(edge_index=index, edge_attr=attributes, joint=graph.joint, segment=graph.segment, num_nodes=graph.num_nodes)


def _near(topology: Topology, nodes: Int64[Tensor, "B n"], hops: int) -> tuple[Int64[Tensor, "2 E"], Int64[Tensor, "E 3"]]:
    """Edges between some nodes of each body that are at most ``hops`` apart, bodies end to end, sorted by target."""
    distance, joints = hop_distance(topology, device=nodes.device), len(topology)
    segment, joint = nodes // joints, nodes % joints
    # Rows are targets, columns sources.
    bones = distance[joint[:, :, None], joint[:, None, :]]
    steps = segment[:, :, None] - segment[:, None, :]
    near: Bool[Tensor, "B n n"] = bones + steps.abs() <= hops
    near.diagonal(dim1=1, dim2=2).fill_(False)
    body, target, source = near.nonzero(as_tuple=True)
    depth = distance[topology.index[topology.centre]][joint]
    attributes = [bones[body, target, source], steps[body, target, source], depth[body, target] - depth[body, source]]
    return torch.stack([source, target]) + nodes.shape[1] * body, torch.stack(attributes, 1)


class _Bodies:
    """The same graph for several bodies, end to end. Those of fewer bodies come first, so that a batch costs a view."""

    def __init__(self, topology: Topology, segments: int, hops: int, device: torch.device) -> None:
        self.one = reach_graph(topology, segments, hops).clone().to(device)  # Data.to moves a graph in place
        self.bodies = 0

    def __call__(self, bodies: int) -> dict[str, Tensor]:
        """``edge_index``, ``edge_attr``, ``joint``, ``segment`` and ``body`` of so many bodies."""
        if bodies > self.bodies or not self.bodies:
            with torch.inference_mode(False):  # what is kept must serve training too
                self._repeat(max(bodies, 1))
        nodes, edges = self.one.num_nodes * bodies, self.one.num_edges * bodies
        return {
            "edge_index": self.edge_index[:, :edges],
            "edge_attr": self.edge_attr[:edges],
            "joint": self.joint[:nodes],
            "segment": self.segment[:nodes],
            "body": self.body[:nodes],
        }

    def _repeat(self, bodies: int) -> None:
        one, count = self.one, torch.arange(bodies, device=self.one.joint.device)
        self.edge_index = (one.edge_index[:, None, :] + one.num_nodes * count[None, :, None]).flatten(1)
        self.edge_attr = one.edge_attr.repeat(bodies, 1)
        self.joint, self.segment = one.joint.repeat(bodies), one.segment.repeat(bodies)
        self.body = count.repeat_interleave(one.num_nodes)
        self.bodies = bodies


_bodies = lru_cache(maxsize=64)(_Bodies)


def to_segments(clips: Float[Tensor, "B T V C"], length: int) -> Float[Tensor, "B Te V F"]:
    """Group frames into segments: node values [B, T / l, V, l * C], laid out (frame, coordinate) within a node."""
    bodies, frames, joints, channels = clips.shape
    if frames % length:
        raise InputError(f"frames: expected a multiple of segment = {length}, found {frames}")
    grouped = clips.reshape(bodies, frames // length, length, joints, channels)
    return grouped.transpose(2, 3).reshape(bodies, frames // length, joints, length * channels)


@of_topology
def input_columns(topology: Topology, joints: tuple[str, ...]) -> Int64[Tensor, " n"]:
    """Where joints stand among all input joints: the nodes among them, or the context."""
    place = {joint: i for i, joint in enumerate(topology.inputs)}
    return torch.tensor([place[joint] for joint in joints], dtype=torch.int64)


@dataclass(frozen=True)
class Grid:
    """Which nodes a whole body has.

    Args:
        topology: the joints.
        segments: Te.
        prepared: how the clips were, where it is known; encoders compare it with their own.
    """

    topology: Topology
    segments: int
    prepared: Any = field(default=None, compare=False)

    @property
    def nodes(self) -> int:
        """N = Te * V."""
        return self.segments * len(self.topology)

    def __repr__(self) -> str:
        return f"{self.topology.name} x {self.segments}"


class SkeletonData(Data):
    """Skeleton graphs of the bodies of a clip: a torch_geometric `Data`, accepted by its layers, loaders and transforms.

    torch_geometric's loader makes a batch of several; `SkeletonBatch` is the same, made at once. Every body has the same
    number n of nodes.

    Attributes:
        x: node values, [B * n, l * C].
        frames: coordinates that the nodes are made of, [B, T, J, C], with joints that are context where the topology has any.
            Not there in a `subgraph`, which must not know what is masked.
        edge_index, edge_attr: [2, E] and [E, 3]; see `skeleton_graph`.
        joint, segment, body: of each node, [B * n].
        sequence: the clip of each body, [B], ascending.
        y: label of each clip, [S]; -1 where there is none.
        nodes: which nodes of a whole body these are, [B, n]; None where all are there.
        velocity, acceleration: [B, T, J, C], differenced on the original frames and then resized; only where asked for.
    """

    @classmethod
    def from_frames(
        cls,
        frames: Float[Tensor, "B T J C"],
        *,
        topology: Topology,
        segment: int,
        sequence: Int64[Tensor, " B"] | None = None,
        y: Int64[Tensor, " S"] | None = None,
        velocity: Float[Tensor, "B T J C"] | None = None,
        acceleration: Float[Tensor, "B T J C"] | None = None,
        prepared: Any = None,
    ) -> SkeletonData:
        """Lay bodies out as one graph.

        Args:
            frames: coordinates of all input joints of the topology; T is a multiple of ``segment``.
            topology: whose bones join the joints.
            segment: l, frames of a node.
            sequence: the clip of each body, from 0, ascending; all one clip where omitted.
            y: label of each clip; -1 where omitted.
            velocity, acceleration: see the attributes.
            prepared: how the clips were, see `prepared`.
        """
        values = to_segments(nodes_of(frames, topology), segment)
        device = frames.device
        sequence = torch.zeros(len(frames), dtype=torch.int64, device=device) if sequence is None else sequence
        grid = Grid(topology, values.shape[1], prepared)
        data = cls(
            x=values.flatten(0, 2),
            frames=frames,
            **_bodies(topology, grid.segments, 1, device)(len(frames)),
            sequence=sequence,
            y=torch.full((1,), -1, device=device) if y is None else y,
            grid=grid,
        )
        if velocity is not None:
            data.velocity, data.acceleration = velocity, acceleration
        return data

    @property
    def edge_index(self) -> Tensor:
        """Edges of a subgraph are made when somebody asks for them: attention needs none."""
        self._make_edges()
        return self._store["edge_index"]

    @edge_index.setter
    def edge_index(self, value: Tensor) -> None:
        self._store.edge_index = value

    @property
    def edge_attr(self) -> Tensor:
        """See `edge_index`."""
        self._make_edges()
        return self._store["edge_attr"]

    @edge_attr.setter
    def edge_attr(self, value: Tensor) -> None:
        self._store.edge_attr = value

    def _make_edges(self) -> None:
        if "edge_index" not in self._store and (nodes := self._store.get("nodes")) is not None:
            hops = self._store["hops"]
            reach = hops[0].reach if isinstance(hops, list) else hops.reach  # as of `layout`
            index, attributes = _near(self.topology, nodes, reach)
            self._store["edge_index"], self._store["edge_attr"] = index, attributes

    @property
    def edge_stores(self) -> list[EdgeStorage]:
        """What torch_geometric counts edges in."""
        self._make_edges()
        return super().edge_stores

    @property
    def layout(self) -> Grid:
        """Joints and segments of a whole body.

        Raises:
            InputError: a loader put clips on several skeletons together.
        """
        grid = self._store["grid"]
        if not isinstance(grid, list):
            return grid
        # torch_geometric's loader lists what is no tensor.
        if others := [other for other in grid if other != grid[0]]:
            found = f"{grid[0].topology.name} and {others[0].topology.name}"
            raise InputError(f"batch: expected clips on one skeleton, found {found}")
        return grid[0]

    @property
    def prepared(self) -> list[Any]:
        """How the clips were: an `InputSpec` of each, as far as it is known."""
        grid = self._store["grid"]
        return [one.prepared for one in (grid if isinstance(grid, list) else [grid]) if one.prepared is not None]

    @property
    def topology(self) -> Topology:
        """The skeleton, the same for every body."""
        return self.layout.topology

    @property
    def segments(self) -> int:
        """Te of a whole body."""
        return self.layout.segments

    @property
    def nodes(self) -> Int64[Tensor, "B n"] | None:
        """Which nodes of a whole body are there, in graph order; None for all."""
        return self._store.get("nodes")

    @nodes.setter
    def nodes(self, value: Int64[Tensor, "B n"] | None) -> None:
        self._store.nodes = value

    @property
    def num_bodies(self) -> int:
        """B."""
        return len(self.sequence)

    @property
    def num_sequences(self) -> int:
        """S."""
        return len(self.y)

    @property
    def nodes_per_body(self) -> int:
        """The number n of nodes that each body has here."""
        return self.layout.nodes if self.nodes is None else self.nodes.shape[1]

    @property
    def dense(self) -> Float[Tensor, "B n F"]:
        """The node values body by body, without a copy."""
        return self.x.view(self.num_bodies, self.nodes_per_body, self.x.shape[-1])

    @property
    def context(self) -> Float[Tensor, "B T context C"]:
        """Coordinates of the joints that are input but no nodes."""
        return self.frames[:, :, input_columns(self.topology, self.topology.context, device=self.frames.device)]

    def with_frames(self, frames: Float[Tensor, "B T J C"]) -> SkeletonData:
        """The same graph of other coordinates."""
        out = copy.copy(self)
        out.frames = frames
        segment = frames.shape[1] // self.segments
        out.x = to_segments(nodes_of(frames, self.topology), segment).flatten(0, 2)
        return out

    def subgraph(self, kept: Int64[Tensor, "B n"], hops: int = 1) -> SkeletonData:
        """The graph of some nodes of each body; what the others hold enters it by no path.

        Args:
            kept: which nodes, in graph order, as many in every body.
            hops: kept nodes are joined where so many bones and steps in time, both together, lead from one to the other.
        """
        if self.nodes is not None:
            raise ValueError("subgraph: expected whole bodies, found a subgraph")
        inside = (kept + self.layout.nodes * torch.arange(self.num_bodies, device=kept.device)[:, None]).flatten()
        out = SkeletonBatch(
            x=self.x[inside],
            joint=self.joint[inside],
            segment=self.segment[inside],
            body=self.body[inside],
            sequence=self.sequence,
            y=self.y,
            grid=self.layout,
            nodes=kept,
            hops=Reach(hops),
        )
        if "batch" in self._store:
            out.batch = self.batch[inside]
        return out

    def over(self, hops: int) -> SkeletonData:
        """The same nodes, joined over so many bones and steps in time together."""
        out = copy.copy(self)
        if self.nodes is None:
            device = self.joint.device
            edges = _bodies(self.topology, self.segments, hops, device)(self.num_bodies)
            out.edge_index, out.edge_attr = edges["edge_index"], edges["edge_attr"]
        else:
            for name in ("edge_index", "edge_attr"):
                out._store.pop(name, None)
            out.hops = Reach(hops)
        return out

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        # Loaders put clips behind each other: bodies count on from those before, sequences from one item a clip.
        if key == "body":
            return self.num_bodies
        if key in ("batch", "sequence"):
            return self.num_sequences
        return 0 if key == "nodes" else super().__inc__(key, value, *args, **kwargs)


class SkeletonBatch(SkeletonData):
    """Skeleton graphs of several clips at once; equal to torch_geometric's own collation of their `SkeletonData`.

    Attributes:
        batch: the clip of each node, [B * n].
    """

    @classmethod
    def from_frames(cls, frames: Float[Tensor, "B T J C"], **options: Any) -> SkeletonBatch:
        """See `SkeletonData.from_frames`."""
        out: SkeletonBatch = super().from_frames(frames, **options)  # type: ignore[assignment]
        out.batch = out.sequence.repeat_interleave(out.nodes_per_body)
        return out


@dataclass(frozen=True)
class Reach:
    """How far the edges of a subgraph reach; an object, since torch_geometric's loader turns numbers into tensors."""

    reach: int


def nodes_of(clips: Float[Tensor, "B T J C"], topology: Topology) -> Float[Tensor, "B T V C"]:
    """The joints that are nodes, of all input joints."""
    if not topology.context:
        return clips
    return clips[:, :, input_columns(topology, topology.joints, device=clips.device)]
