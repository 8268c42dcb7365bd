"""Noise."""

from __future__ import annotations

import pytest
import torch

from masksem_graph.data.transforms import Noise
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology


def test_as_large_as_asked_for(tiny: Topology) -> None:
    frames = torch.randn(40, 60, 5, 3)
    noise = Noise(std=0.02).apply(frames, torch.rand(40, 2), tiny) - frames
    assert noise.mean().item() == pytest.approx(0, abs=1e-3) and noise.std().item() == pytest.approx(0.02, abs=4e-4)
    steps = noise.diff(dim=1).std().item()
    assert steps == pytest.approx(0.02 * 2**0.5, rel=0.02), "frames are independent"
    assert (noise.std((0, 1)) - 0.02).abs().max() < 2e-3, "each joint and coordinate alike"
    assert torch.equal(Noise(std=0.0).apply(frames, torch.rand(40, 2), tiny), frames)


def test_the_batch_around_a_clip_does_not_matter_to_the_bit(tiny: Topology) -> None:
    frames, uniform = torch.randn(9, 7, 5, 3), torch.rand(9, 2)
    together = Noise(std=0.1).apply(frames, uniform, tiny)
    for a, b in [(0, 1), (1, 3), (3, 9), (8, 9)]:
        assert torch.equal(Noise(std=0.1).apply(frames[a:b], uniform[a:b], tiny), together[a:b])


def test_refused() -> None:
    with pytest.raises(InputError, match=r"^Noise.std: expected a number from 0 to 1000000000, found -0.1$"):
        Noise(std=-0.1)
