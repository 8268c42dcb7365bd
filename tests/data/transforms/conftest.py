"""Clips to transform."""

from __future__ import annotations

import pytest
import torch

from masksem_graph.graph import SkeletonBatch
from masksem_graph.topology import Topology, load_topology


@pytest.fixture
def tiny() -> Topology:
    return load_topology("tiny5")


@pytest.fixture
def clips(tiny: Topology) -> SkeletonBatch:
    """Three clips of four frames: of two bodies, of one, of two."""
    sequence = torch.tensor([0, 0, 1, 2, 2])
    return SkeletonBatch.from_frames(torch.randn(5, 4, 5, 3), topology=tiny, segment=2, sequence=sequence, y=torch.arange(3))
