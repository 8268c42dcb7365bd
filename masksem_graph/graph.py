"""The graphs of clips: what flows from the loader to the loss; nodes and edges as `masksem_graph.edges` has them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.storage import EdgeStorage

from masksem_graph.edges import bodies_of, edges_near, of_topology
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology


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
    return torch.tensor([topology.inputs.index(joint) for joint in joints], dtype=torch.int64)


@dataclass(frozen=True)
class Grid:
    """Which nodes a whole body has: joints of a topology in Te segments; and how its clip was prepared, where it is known."""

    topology: Topology
    segments: int
    prepared: Any = field(default=None, compare=False)

    @property
    def nodes(self) -> int:
        """N = Te * V."""
        return self.segments * len(self.topology)

    def __repr__(self) -> str:
        return f"{self.topology.name} x {self.segments}"


def nodes_of(clips: Float[Tensor, "B T J C"], topology: Topology) -> Float[Tensor, "B T V C"]:
    """The joints that are nodes, of all input joints."""
    if not topology.context:
        return clips
    return clips[:, :, input_columns(topology, topology.joints, device=clips.device)]


@dataclass(frozen=True)
class Reach:
    """How far the edges of a subgraph reach; an object, since torch_geometric's loader turns numbers into tensors."""

    reach: int


def _stored(name: str) -> property:
    """A field that may be missing. Edges of a subgraph are made when somebody asks for them: attention needs none."""

    def read(data: SkeletonData) -> Tensor | None:
        if name != "nodes":
            data._make_edges()
        return data._store.get(name)

    def write(data: SkeletonData, value: Tensor | None) -> None:
        data._store[name] = value

    return property(read, write)


class SkeletonData(Data):
    """Skeleton graphs of the bodies of a clip: a torch_geometric `Data`, accepted by its layers, loaders and transforms.

    torch_geometric's loader makes a batch of several; `SkeletonBatch` is the same, made at once. Each of B = `num_bodies` has
    the same number n = `nodes_per_body` of nodes; S = `num_sequences`, and a whole body has Te = `segments`.

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
            y, velocity, acceleration, prepared: see the attributes.
        """
        # Not len(frames), which an export would take for a number that never changes.
        values, bodies, device = to_segments(nodes_of(frames, topology), segment), frames.shape[0], frames.device
        sequence = torch.zeros(bodies, dtype=torch.int64, device=device) if sequence is None else sequence
        y = torch.full((1,), -1, device=device) if y is None else y
        grid = Grid(topology, values.shape[1], prepared)
        graph = bodies_of(topology, grid.segments, 1, device)(bodies)
        data = cls(x=values.flatten(0, 2), frames=frames, **graph, sequence=sequence, y=y, grid=grid)
        if velocity is not None:
            data.velocity, data.acceleration = velocity, acceleration
        return data

    edge_index, edge_attr, nodes = (_stored(name) for name in ("edge_index", "edge_attr", "nodes"))

    def _make_edges(self) -> None:
        if "edge_index" not in self._store and self.nodes is not None:
            reach = self._listed("hops")[0].reach
            self.edge_index, self.edge_attr = edges_near(self.topology, self.nodes, reach)

    def _listed(self, name: str) -> list[Any]:
        # torch_geometric's loader lists what is no tensor.
        found = self._store[name]
        return found if isinstance(found, list) else [found]

    @property
    def edge_stores(self) -> list[EdgeStorage]:
        """What torch_geometric counts edges in."""
        self._make_edges()
        return super().edge_stores

    @property
    def layout(self) -> Grid:
        """Joints and segments of a whole body; an `InputError` where a loader put clips on several skeletons together."""
        first, *others = self._listed("grid")
        for other in others:
            if other != first:
                found = f"{first.topology.name} and {other.topology.name}"
                raise InputError(f"batch: expected clips on one skeleton, found {found}")
        return first

    @property
    def prepared(self) -> list[Any]:
        """How the clips were: an `InputSpec` of each, as far as it is known."""
        return [grid.prepared for grid in self._listed("grid") if grid.prepared is not None]

    @property
    def topology(self) -> Topology:
        return self.layout.topology

    @property
    def segments(self) -> int:
        return self.layout.segments

    @property
    def num_bodies(self) -> int:
        return self.sequence.shape[0]

    @property
    def num_sequences(self) -> int:
        return self.y.shape[0]

    @property
    def nodes_per_body(self) -> int:
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
        """The graph of the ``kept`` nodes of each body, in graph order; what the others hold enters it by no path.

        They are joined where at most so many bones and steps in time, both together, lead from one to the other.
        """
        if self.nodes is not None:
            raise ValueError("subgraph: expected whole bodies, found a subgraph")
        inside = (kept + self.layout.nodes * torch.arange(self.num_bodies, device=kept.device)[:, None]).flatten()
        names = [name for name in ("x", "joint", "segment", "body", "batch") if name in self._store]
        of_nodes = {name: self._store[name][inside] for name in names}
        of_bodies = {"sequence": self.sequence, "y": self.y, "grid": self.layout}
        return SkeletonBatch(**of_nodes, **of_bodies, nodes=kept, hops=Reach(hops))

    def over(self, hops: int) -> SkeletonData:
        """The same nodes, joined over so many bones and steps in time together."""
        out = copy.copy(self)
        if self.nodes is None:
            edges = bodies_of(self.topology, self.segments, hops, self.joint.device)(self.num_bodies)
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
