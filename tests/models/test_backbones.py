"""What every backbone promises; one that is added to the package is tested by being there."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import masksem_graph.models.backbones as backbones
from masksem_graph.models.backbones import Backbone, BackboneFactory, Transformer
from masksem_graph.models.backbones.transformer import Attention
from masksem_graph.models.drop_path import DropPath
from masksem_graph.topology import load_topology

EVERY = [part for name in backbones.__all__ if issubclass(part := getattr(backbones, name), Backbone) and part is not Backbone]
TINY = load_topology("tiny5")
SEGMENTS, WIDTH = 3, 16
SOME = torch.tensor([[0, 3, 4, 11], [1, 2, 9, 14]])


@pytest.fixture(params=EVERY, ids=[part.__name__ for part in EVERY])
def make(request: pytest.FixtureRequest) -> BackboneFactory:
    return request.param


def build(make: BackboneFactory) -> Backbone:
    return make(width=WIDTH, topology=TINY, segments=SEGMENTS)


def test_all_are_found() -> None:
    assert Transformer in EVERY


@pytest.mark.parametrize("nodes", [None, SOME], ids=["all", "some"])
def test_shape_and_gradients(make: BackboneFactory, nodes: Tensor | None) -> None:
    backbone = build(make)
    h = torch.randn(2, 15 if nodes is None else 4, WIDTH, requires_grad=True)
    out = backbone(h, nodes)
    assert out.shape == h.shape and out.isfinite().all()
    (out * torch.randn_like(out)).sum().backward()
    assert h.grad is not None and h.grad.isfinite().all() and (h.grad != 0).any()
    assert [name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    assert [name for name, p in backbone.named_parameters() if p.grad is None or not (p.grad != 0).any()] == []


def test_large_numbers_stay_finite(make: BackboneFactory) -> None:
    assert build(make)(1e4 * torch.randn(1, 15, WIDTH)).isfinite().all()


def test_saved_and_loaded(make: BackboneFactory) -> None:
    one, other, h = build(make).eval(), build(make).eval(), torch.randn(2, 15, WIDTH)
    assert not torch.equal(one(h), other(h))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(h), other(h))


def test_bodies_do_not_see_each_other(make: BackboneFactory) -> None:
    backbone, h = build(make).eval(), torch.randn(3, 15, WIDTH)
    torch.testing.assert_close(backbone(h)[1:2], backbone(h[1:2]))


def test_attention_by_formula() -> None:
    attention, h = Attention(width=6, heads=2), torch.randn(1, 4, 6)
    q, k, v = attention.qkv(h)[0].split(6, dim=1)
    heads = []
    for part in (slice(0, 3), slice(3, 6)):
        weight = (q[:, part] @ k[:, part].T / 3**0.5).softmax(1)
        heads.append(weight @ v[:, part])
    torch.testing.assert_close(attention(h)[0], attention.proj(torch.cat(heads, 1)))


def test_drop_path_keeps_the_mean_and_drops_whole_bodies() -> None:
    h = torch.ones(20_000, 2, 3)
    out = DropPath(0.3)(h)
    assert out.unique().tolist() == [0.0, pytest.approx(1 / 0.7)]
    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    assert out.mean().item() == pytest.approx(1.0, abs=0.02)
    assert torch.equal(DropPath(0.3).eval()(h), h)


def test_stochastic_depth_grows() -> None:
    blocks = Transformer(width=8, topology=TINY, segments=1, depth=4, heads=2, drop_path=0.3).blocks
    assert [block.drop_path.rate for block in blocks] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_bfloat16_on_the_cpu_is_close() -> None:
    backbone, h = build(Transformer).eval(), torch.randn(2, 15, WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        low = backbone(h)
    assert F.cosine_similarity(low.float().flatten(), backbone(h).flatten(), dim=0) > 0.999
