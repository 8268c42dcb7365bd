"""Small inputs for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from masksem_graph.graph import SkeletonBatch
from masksem_graph.masking import Evidence
from masksem_graph.topology import Topology, parse_topology


def chain(joints: int) -> Topology:
    """A skeleton of joints in a row, the first in the centre."""
    names = tuple(f"joint{i}" for i in range(joints))
    bones = tuple(zip(names[1:], names, strict=False))
    parts, mirror = {"all": names}, {name: name for name in names}
    return Topology(name=f"chain{joints}", joints=names, bones=bones, parts=parts, mirror=mirror, centre=names[0])


def reordered(topology: Topology, order: Sequence[int]) -> Topology:
    """The same skeleton, its joints listed in another order."""
    fields = topology.to_dict() | {"joints": [*(topology.joints[i] for i in order), *topology.context]}
    return parse_topology(fields, source_file="reordered")


def batch_of(nodes: Tensor, topology: Topology | None = None, sequence: Sequence[int] | None = None) -> SkeletonBatch:
    """Node values [B, Te, V, F] as they are, one frame a segment; each body a clip of its own where nothing else is said."""
    owner = torch.arange(len(nodes)) if sequence is None else torch.tensor(sequence, dtype=torch.int64)
    labels = torch.full((int(owner.max()) + 1 if len(owner) else 0,), -1)
    return SkeletonBatch.from_frames(nodes, topology=topology or chain(nodes.shape[2]), segment=1, sequence=owner, y=labels)


def grid(topology: Topology, segments: int = 1, bodies: int = 1) -> SkeletonBatch:
    """Bodies of zeros: for what depends on the skeleton alone."""
    return batch_of(torch.zeros(bodies, segments, len(topology.inputs), 1), topology)


def evidence_of(nodes: Tensor, sequence: Sequence[int] | None = None, **more: Any) -> Evidence:
    """What scores see of bare node values [B, Te, V, F]."""
    return Evidence(batch=batch_of(nodes, sequence=sequence), nodes=nodes, **more)
