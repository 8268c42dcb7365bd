"""Edges of the spatio-temporal skeleton graph: `skeleton_graph` is the one source of them.

A node is one joint during one segment of ``l`` frames: node ``te * V + v`` of a body is joint ``v`` in segment ``te``. Bones
join nodes within a segment, time joins a joint to itself in the next segment, both in both directions.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import networkx as nx
import torch
from jaxtyping import Bool, Int64
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import to_networkx

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
    """The spatio-temporal graph of one body over Te segments; every other structure on a skeleton is made from it.

    Returns:
        ``edge_index`` [2, E], sorted by target; ``edge_attr`` [E, 3], see `BONES`, `STEPS`, `OUTWARD`; ``joint`` and
        ``segment`` of each node, [Te * V].
    """
    joints = len(topology)
    joints, places = len(topology), torch.arange(segments * len(topology))
    bones = torch.from_numpy(nx.to_numpy_array(topology.graph, nodelist=topology.joints, dtype="float32"))
    onwards = torch.diag(torch.ones(segments - 1), 1)
    adjacency = torch.kron(onwards + onwards.T, torch.eye(joints)) + torch.kron(torch.eye(segments), bones)
    target, source = adjacency.nonzero().T
    joint, segment = places % joints, places // joints
    hops = nx.single_source_shortest_path_length(topology.graph, topology.centre)
    depth = torch.tensor([hops[one] for one in topology.joints])[joint]
    steps = segment[target] - segment[source]
    attributes = torch.stack([(steps == 0).long(), steps, depth[target] - depth[source]], 1)
    index = torch.stack([source, target])
    return Data(edge_index=index, edge_attr=attributes, joint=joint, segment=segment, num_nodes=len(places))


@of_topology
def hop_distance(topology: Topology) -> Int64[Tensor, "V V"]:
    """Bones on the shortest path between two joints."""
    graph = to_networkx(skeleton_graph(topology), to_undirected=True)
    return torch.from_numpy(nx.floyd_warshall_numpy(graph)).long()


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def reach_graph(topology: Topology, segments: int, hops: int) -> Data:
    """The graph that joins nodes at most ``hops`` bones and steps in time apart, both together; `skeleton_graph` at 1."""
    graph = skeleton_graph(topology, segments)
    if hops == 1:
        return graph
    if hops < 1:
        raise InputError(f"hops: expected at least 1, found {hops}")
    index, attributes = edges_near(topology, torch.arange(graph.num_nodes)[None], hops)
    return Data(edge_index=index, edge_attr=attributes, joint=graph.joint, segment=graph.segment, num_nodes=graph.num_nodes)


def edges_near(
    topology: Topology, nodes: Int64[Tensor, "B n"], hops: int
) -> tuple[Int64[Tensor, "2 E"], Int64[Tensor, "E 3"]]:
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
        if torch.compiler.is_exporting():  # for any number of bodies, so there is no largest one to keep
            return self._repeated(bodies)
        if bodies > self.bodies or not self.bodies:
            with torch.inference_mode(False):  # what is kept must serve training too
                self.bodies = max(bodies, 1)
                self.kept = self._repeated(self.bodies)
        nodes, edges = self.one.num_nodes * bodies, self.one.num_edges * bodies
        found = {name: self.kept[name][:nodes] for name in ("joint", "segment", "body")}
        return {"edge_index": self.kept["edge_index"][:, :edges], "edge_attr": self.kept["edge_attr"][:edges], **found}

    def _repeated(self, bodies: int) -> dict[str, Tensor]:
        one, count = self.one, torch.arange(bodies, device=self.one.joint.device)
        return {
            "edge_index": (one.edge_index[:, None, :] + one.num_nodes * count[None, :, None]).flatten(1),
            "edge_attr": one.edge_attr.repeat(bodies, 1),
            "joint": one.joint.repeat(bodies),
            "segment": one.segment.repeat(bodies),
            "body": count.repeat_interleave(one.num_nodes),
        }


bodies_of = lru_cache(maxsize=64)(_Bodies)
