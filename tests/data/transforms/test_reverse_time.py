"""Clips played backwards."""

from __future__ import annotations

import torch

from masksem_graph.data.transforms import ReverseTime
from masksem_graph.topology import Topology


def test_by_hand(tiny: Topology) -> None:
    frames = torch.randn(3, 4, 5, 3)
    out = ReverseTime(probability=0.5).apply(frames, torch.tensor([[0.1], [0.5], [0.4]]), tiny)
    assert torch.equal(out[1], frames[1])
    for clip in (0, 2):
        assert torch.equal(out[clip], frames[clip, [3, 2, 1, 0]])
