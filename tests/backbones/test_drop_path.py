from __future__ import annotations

import pytest
import torch

from masksem_graph.backbones.drop_path import DropPath


def test_it_keeps_the_mean_and_drops_whole_bodies() -> None:
    h = torch.ones(20_000, 2, 3)
    out = DropPath(0.3)(h)
    assert out.unique().tolist() == [0.0, pytest.approx(1 / 0.7)]
    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    assert out.mean().item() == pytest.approx(1.0, abs=0.02)
    assert torch.equal(DropPath(0.3).eval()(h), h)
