"""What every backbone promises; one that is added to the package is tested by being there."""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import masksem_graph.backbones as backbones
from masksem_graph.backbones import GAT, GCN, GPS, STGCN, Backbone, BackboneFactory, Transformer
from masksem_graph.backbones.base import Masked
from masksem_graph.backbones.transformer import Attention
from masksem_graph.encodings import HopBias
from masksem_graph.errors import InputError
from masksem_graph.models.drop_path import DropPath
from masksem_graph.topology import load_topology

EVERY: list[Any] = [
    part for name in backbones.__all__ if issubclass(part := getattr(backbones, name), Backbone) and part is not Backbone
]
NAMES = [part.__name__ for part in EVERY]
TINY = load_topology("tiny5")
SEGMENTS, WIDTH = 3, 16
SOME = torch.tensor([[0, 3, 4, 11], [1, 2, 9, 14]])


@pytest.fixture(params=[*EVERY, partial(Transformer, bias=HopBias)], ids=[*NAMES, "Transformer-HopBias"])
def make(request: pytest.FixtureRequest) -> BackboneFactory:
    return request.param


def build(make: BackboneFactory) -> Backbone:
    backbone = make(width=WIDTH, topology=TINY, segments=SEGMENTS)
    with torch.no_grad():  # what starts at zero would hide what it does
        for name, parameter in backbone.named_parameters():
            if name.startswith("bias."):
                parameter.normal_()
    return backbone


def test_all_are_found() -> None:
    assert {Transformer, GCN, GAT, GPS, STGCN} <= set(EVERY)


@pytest.mark.parametrize("part", EVERY, ids=NAMES)
def test_says_what_becomes_of_masked_nodes(part: Any) -> None:
    assert part(width=WIDTH, topology=TINY, segments=SEGMENTS).masked in get_args(Masked)
    for masked in get_args(Masked):
        assert part(width=WIDTH, topology=TINY, segments=SEGMENTS, masked=masked).masked == masked


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


def test_kept_nodes_are_told_apart_by_body(make: BackboneFactory) -> None:
    backbone, h = build(make).eval(), torch.randn(2, 4, WIDTH)
    both = backbone(h, SOME)
    for body in range(2):
        torch.testing.assert_close(backbone(h[body : body + 1], SOME[body : body + 1])[0], both[body])


def test_batches_of_any_size_in_any_order(make: BackboneFactory) -> None:
    """Edges of an earlier batch, larger or smaller, must not be taken for this one's."""
    backbone, h = build(make).eval(), torch.randn(5, 15, WIDTH)
    fresh = {size: build(make).eval() for size in (1, 3, 5)}
    for size in (3, 1, 5, 1, 3):
        fresh[size].load_state_dict(backbone.state_dict())
        torch.testing.assert_close(backbone(h[:size]), fresh[size](h[:size]))


@pytest.mark.parametrize("nodes", [None, SOME[:0]], ids=["all", "some"])
def test_no_body_at_all(make: BackboneFactory, nodes: Tensor | None) -> None:
    """A process may get an empty part of a batch; its parameters take part in the step nevertheless."""
    backbone = build(make)
    h = torch.randn(0, 15 if nodes is None else 4, WIDTH, requires_grad=True)
    out = backbone(h, nodes)
    assert out.shape == h.shape
    out.sum().backward()
    assert h.grad is not None
    assert [name for name, p in backbone.named_parameters() if p.grad is None or p.grad.any()] == []


def test_trains_after_inference(make: BackboneFactory) -> None:
    backbone, h = build(make), torch.randn(2, 15, WIDTH)
    with torch.inference_mode():
        backbone(h)
    backbone(h).sum().backward()


def test_all_nodes_kept_is_the_whole_graph(make: BackboneFactory) -> None:
    options = {} if make in (Transformer,) or isinstance(make, partial) else {"kept_hops": 1}
    backbone, h = build(partial(make, **options)).eval(), torch.randn(2, 15, WIDTH)
    torch.testing.assert_close(backbone(h, torch.arange(15).expand(2, -1)), backbone(h), atol=1e-5, rtol=1e-5)


def test_the_order_of_the_kept_nodes_does_not_matter(make: BackboneFactory) -> None:
    backbone, h, order = build(make).eval(), torch.randn(2, 4, WIDTH), [2, 0, 3, 1]
    torch.testing.assert_close(backbone(h[:, order], SOME[:, order]), backbone(h, SOME)[:, order], atol=1e-5, rtol=1e-5)


def test_one_node_alone(make: BackboneFactory) -> None:
    assert build(make)(torch.randn(2, 1, WIDTH), torch.tensor([[3], [14]])).isfinite().all()


def test_stochastic_depth_leaves_bodies_as_they_are(make: BackboneFactory) -> None:
    """At a rate of almost one nothing but the final norm is left, and the batch's size stays."""
    backbone, h = (
        make(width=WIDTH, topology=TINY, segments=SEGMENTS, depth=2, drop_path=1 - 1e-7).train(),
        torch.randn(2, 15, WIDTH),
    )
    backbone.blocks[0].drop_path.rate = backbone.blocks[1].drop_path.rate
    torch.testing.assert_close(backbone(h), F.layer_norm(h, (WIDTH,)))


@pytest.mark.parametrize("part", EVERY, ids=NAMES)
def test_options_out_of_range(part: Any) -> None:
    given: dict[str, Any] = {"heads": 3, "hops": 0, "kept_hops": 0, "kernel": 4}
    known = part.__init__.__annotations__.keys() & given.keys()
    assert known
    for name in known:
        with pytest.raises(InputError, match=rf"^{name}: expected .*, found {given[name]}$"):
            part(width=WIDTH, topology=TINY, segments=SEGMENTS, **{name: given[name]})


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


def test_bfloat16_on_the_cpu_is_close(make: BackboneFactory) -> None:
    backbone = build(make).eval()
    for h, nodes in ((torch.randn(2, 15, WIDTH), None), (torch.randn(2, 4, WIDTH), SOME)):
        with torch.autocast("cpu", torch.bfloat16):
            low = backbone(h, nodes)
        assert F.cosine_similarity(low.float().flatten(), backbone(h, nodes).flatten(), dim=0) > 0.999


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_gives_the_same(make: BackboneFactory) -> None:
    backbone = build(make).eval()
    cases = [(torch.randn(3, 15, WIDTH), None), (torch.randn(2, 4, WIDTH), SOME), (torch.randn(1, 15, WIDTH), None)]
    expected = [backbone(h, nodes) for h, nodes in cases]
    backbone = backbone.cuda()  # edges found on the CPU must not be taken for the GPU's
    for (h, nodes), value in zip(cases, expected, strict=True):
        found = backbone(h.cuda(), None if nodes is None else nodes.cuda())
        torch.testing.assert_close(found.cpu(), value, atol=1e-4, rtol=1e-4)
