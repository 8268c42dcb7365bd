"""What every backbone promises: our own, models of torch_geometric as they are, and a module of a user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.loader import DataLoader
from torch_geometric.nn import models
from torch_geometric.nn.conv import GINEConv

from masksem_graph import backbones
from masksem_graph.backbones import GAT, GCN, GPS, STGCN, Backbone, GraphModel, Transformer
from masksem_graph.backbones.base import Masked
from masksem_graph.encodings import HopBias
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch, SkeletonData
from masksem_graph.topology import Topology, load_topology, parse_topology
from masksem_graph.training.optim import layer_groups

TINY = load_topology("tiny5")
SEGMENTS, WIDTH = 3, 16
SOME = torch.tensor([[0, 3, 4, 11], [1, 2, 9, 14]])


class Stack(nn.Module):
    """Two lists side by side, below the module that holds them."""

    def __init__(self, width: int, edge_dim: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(GINEConv(nn.Linear(width, width), edge_dim=edge_dim) for _ in range(2))
        self.norms = nn.ModuleList(norm(width) for _ in range(2))


class UsersModel(nn.Module):
    """As somebody would write it who knows torch_geometric and not this package."""

    def __init__(
        self, in_channels: int, hidden_channels: int, out_channels: int, edge_dim: int, batch_norm: bool = False
    ) -> None:
        super().__init__()
        norm = nn.BatchNorm1d if batch_norm else nn.LayerNorm
        self.first = nn.Linear(in_channels, hidden_channels)
        self.lower, self.upper = (Stack(hidden_channels, edge_dim, norm) for _ in range(2))
        self.last = nn.Linear(hidden_channels, out_channels)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        x = self.first(x)
        for stack in (self.lower, self.upper):
            for conv, norm in zip(stack.convs, stack.norms, strict=True):
                x = x + norm(conv(x, edge_index, edge_attr)).tanh()
        return self.last(x)


def wrapped(model: type[nn.Module], **options: Any) -> Any:
    return partial(GraphModel, model=model, options=options, topologies=(TINY,))


OWN: dict[str, Any] = {part.__name__: partial(part, depth=2) for part in (Transformer, GCN, GAT, GPS, STGCN)}
OWN["Transformer-HopBias"] = partial(Transformer, depth=2, bias=HopBias)
WRAPPED = {
    f"torch_geometric-{model.__name__}": wrapped(model, num_layers=2, act="tanh")  # ReLU has units without a gradient
    for model in (models.GCN, models.GraphSAGE, models.GIN, models.GAT, models.PNA)
}
WRAPPED["torch_geometric-GIN-layer_norm"] = wrapped(
    models.GIN, num_layers=2, act="tanh", norm="layer_norm", norm_kwargs={"mode": "node"}
)
WRAPPED["UsersModel"] = wrapped(UsersModel)
EVERY = OWN | WRAPPED
BATCH_NORM = {
    "torch_geometric-GIN-batch_norm": wrapped(models.GIN, num_layers=2, norm="batch_norm"),
    "UsersModel-batch_norm": wrapped(UsersModel, batch_norm=True),
}


def parts(**which: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("make", which.values(), ids=which.keys())


every = parts(**EVERY)
every_and_batch_norm = parts(**EVERY, **BATCH_NORM)
own = parts(**OWN)


def build(make: Any, **options: Any) -> Backbone:
    backbone = make(width=WIDTH, **options)
    with torch.no_grad():  # what starts at zero would hide what it does
        for name, parameter in backbone.named_parameters():
            if name.startswith("bias."):
                parameter.normal_()
    return backbone


def batch_of(bodies: int, topology: Topology = TINY, segments: int = SEGMENTS) -> SkeletonBatch:
    frames = torch.randn(bodies, segments, len(topology.inputs), WIDTH)
    return SkeletonBatch.from_frames(
        frames, topology=topology, segment=1, sequence=torch.arange(bodies), y=torch.zeros(bodies, dtype=torch.int64)
    )


def graph_of(h: Tensor, nodes: Tensor | None = None) -> SkeletonData:
    batch = batch_of(len(h))
    return batch if nodes is None else batch.subgraph(nodes)


def test_all_of_the_package_are_here() -> None:
    """But the decoder's own, see tests/models/test_decoder.py."""
    classes = [part for name in backbones.__all__ if inspect.isclass(part := getattr(backbones, name))]
    there = {part.__name__ for part in classes if issubclass(part, Backbone) and not inspect.isabstract(part)}
    assert there - {"ConvBackbone", "CrossTransformer"} == {"Transformer", "GCN", "GAT", "GPS", "STGCN", "GraphModel"}


@every
def test_says_what_becomes_of_masked_nodes(make: Any) -> None:
    assert make(width=WIDTH).masked in get_args(Masked)
    for masked in get_args(Masked):
        assert make(width=WIDTH, masked=masked).masked == masked


@every_and_batch_norm
@pytest.mark.parametrize("nodes", [None, SOME], ids=["all", "some"])
def test_shape_and_gradients(make: Any, nodes: Tensor | None) -> None:
    backbone = build(make)
    h = torch.randn(2, 15 if nodes is None else 4, WIDTH, requires_grad=True)
    out = backbone(h, graph_of(h, nodes))
    assert out.shape == h.shape and out.isfinite().all()
    (out * torch.randn_like(out)).sum().backward()
    assert h.grad is not None and h.grad.isfinite().all() and (h.grad != 0).any()
    assert [name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    assert [name for name, p in backbone.named_parameters() if p.grad is None or not (p.grad != 0).any()] == []


@own
def test_options_out_of_range(make: Any) -> None:
    given: dict[str, Any] = {"heads": 3, "hops": 0, "kept_hops": 0, "kernel": 4}
    known = make.func.__init__.__annotations__.keys() & given.keys()
    assert known
    for name in known:
        with pytest.raises(InputError, match=rf"^{name}: expected .*, found {given[name]}$"):
            make(width=WIDTH, **{name: given[name]})


@every
def test_masked_values_never_reach_a_feature(make: Any) -> None:
    backbone, batch = build(make).eval(), batch_of(2)
    masked = torch.ones(2, 15, dtype=torch.bool).scatter(1, SOME, False)
    other = batch.with_frames(torch.where(masked.view(2, 3, 5, 1), torch.full_like(batch.frames, torch.nan), batch.frames))
    one, two = (whole.subgraph(SOME) for whole in (batch, other))
    assert torch.equal(backbone(one.dense, one), backbone(two.dense, two))


@every
@pytest.mark.parametrize("kept", [False, True], ids=["all", "some"])
def test_joints_in_another_order(make: Any, kept: bool) -> None:
    order = [3, 0, 4, 1, 2]
    other = parse_topology(TINY.to_dict() | {"joints": [TINY.joints[i] for i in order]}, source_file="reordered")
    moved = torch.tensor([5 * t + v for t in range(SEGMENTS) for v in order])  # node i there is node moved[i] here
    backbone, here, there = build(make).eval(), batch_of(2), batch_of(2, other)
    h = torch.randn(2, 15, WIDTH)
    if not kept:
        torch.testing.assert_close(backbone(h[:, moved], there), backbone(h, here)[:, moved], atol=1e-5, rtol=1e-5)
        return
    places = moved.argsort()[SOME]  # where the kept nodes stand there
    order_there = places.argsort(1)
    h = h[:, :4]
    found = backbone(h.gather(1, order_there[..., None].expand_as(h)), there.subgraph(places.sort(1).values))
    expected = backbone(h, here.subgraph(SOME)).gather(1, order_there[..., None].expand_as(h))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@every_and_batch_norm
def test_layers_hold_every_parameter_once_and_by_depth(make: Any) -> None:
    backbone = build(make)
    levels, placed = [], set()
    for modules in (*backbone.layers(), [backbone]):
        here = {id(p): p for module in modules for p in module.parameters() if id(p) not in placed}
        placed |= here.keys()
        levels.append(list(here.values()))
    assert all(levels) and len(levels) == (5 if "UsersModel" in backbone.name else 3)
    groups = layer_groups(levels, set(), weight_decay=0.1, layer_decay=0.5)
    found = [id(p) for group in groups for p in group["params"]]
    assert sorted(found) == sorted(id(p) for p in backbone.parameters())
    assert [group["scale"] for group in groups] == [0.5**i for i in reversed(range(len(levels)))]


@every
def test_large_numbers_stay_finite(make: Any) -> None:
    assert build(make)(1e4 * torch.randn(1, 15, WIDTH), batch_of(1)).isfinite().all()


@every_and_batch_norm
def test_saved_and_loaded(make: Any) -> None:
    one, other, h, batch = build(make), build(make).eval(), torch.randn(2, 15, WIDTH), batch_of(2)
    one(h, batch)  # what is counted while training is saved too
    one.eval()
    assert not torch.equal(one(h, batch), other(h, batch))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(h, batch), other(h, batch))


@every
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluating"])
def test_bodies_do_not_see_each_other(make: Any, training: bool) -> None:
    backbone, h = build(make).train(training), torch.randn(3, 15, WIDTH)
    torch.testing.assert_close(backbone(h, batch_of(3))[1:2], backbone(h[1:2], batch_of(1)))


@parts(**BATCH_NORM)
def test_batch_norm_lets_bodies_see_each_other_while_training(make: Any) -> None:
    backbone, h = build(make), torch.randn(3, 15, WIDTH)
    assert not torch.allclose(backbone(h, batch_of(3))[1:2], backbone(h[1:2], batch_of(1)))
    backbone.eval()
    torch.testing.assert_close(backbone(h, batch_of(3))[1:2], backbone(h[1:2], batch_of(1)))


@every
def test_kept_nodes_are_told_apart_by_body(make: Any) -> None:
    backbone, h = build(make).eval(), torch.randn(2, 4, WIDTH)
    both = backbone(h, batch_of(2).subgraph(SOME))
    for body in (slice(0, 1), slice(1, 2)):
        torch.testing.assert_close(backbone(h[body], batch_of(1).subgraph(SOME[body])), both[body])


@every
def test_several_topologies_and_lengths_through_one_module(make: Any) -> None:
    """Nothing of an earlier batch, larger or smaller or of another skeleton, is taken for this one's."""
    backbone, fresh = build(make).eval(), build(make).eval()
    fresh.load_state_dict(backbone.state_dict())
    ntu = load_topology("ntu25")
    cases = [batch_of(bodies, topology, segments) for bodies, topology, segments in (
        (3, TINY, 3), (2, ntu, 2), (1, TINY, 3), (5, TINY, 3), (2, TINY, 4), (3, ntu, 2), (3, TINY, 3)
    )]  # fmt: skip
    found = [backbone(batch.dense, batch) for batch in cases]
    for batch, value in zip(reversed(cases), reversed(found), strict=True):
        torch.testing.assert_close(fresh(batch.dense, batch), value)


@every_and_batch_norm
@pytest.mark.parametrize("nodes", [None, SOME[:0]], ids=["all", "some"])
def test_no_body_at_all(make: Any, nodes: Tensor | None) -> None:
    """A process may get an empty part of a batch; its parameters take part in the step nevertheless."""
    backbone = build(make)
    backbone.norm.eval()
    modes = [module.training for module in backbone.modules()]
    buffers = {name: value.clone() for name, value in backbone.named_buffers()}
    h = torch.randn(0, 15 if nodes is None else 4, WIDTH, requires_grad=True)
    out = backbone(h, graph_of(h, nodes))
    assert out.shape == h.shape
    out.sum().backward()
    assert h.grad is not None
    assert [name for name, p in backbone.named_parameters() if p.grad is None or p.grad.any()] == []
    assert [module.training for module in backbone.modules()] == modes
    assert all(torch.equal(buffers[name], value) for name, value in backbone.named_buffers())


@every
def test_trains_after_inference(make: Any) -> None:
    backbone, h, batch = build(make), torch.randn(2, 15, WIDTH), batch_of(2)
    with torch.inference_mode():
        backbone(h, batch)
    backbone(h, batch).sum().backward()


@every
def test_all_nodes_kept_is_the_whole_graph(make: Any) -> None:
    options = {} if "Transformer" in repr(make) else {"kept_hops": 1}
    backbone, h, batch = build(make, **options).eval(), torch.randn(2, 15, WIDTH), batch_of(2)
    kept = batch.subgraph(torch.arange(15).expand(2, -1))
    torch.testing.assert_close(backbone(h, kept), backbone(h, batch), atol=1e-5, rtol=1e-5)


@every
def test_one_node_alone(make: Any) -> None:
    batch = batch_of(2).subgraph(torch.tensor([[3], [14]]))
    assert build(make)(torch.randn(2, 1, WIDTH), batch).isfinite().all()


@every
def test_a_batch_of_torch_geometrics_loader(make: Any) -> None:
    batch = batch_of(2)
    clips = [SkeletonData.from_frames(frames[None], topology=TINY, segment=1) for frames in batch.frames]
    loaded = next(iter(DataLoader(clips, batch_size=2)))
    backbone = build(make).eval()
    torch.testing.assert_close(backbone(loaded.dense, loaded), backbone(batch.dense, batch))


@own
def test_stochastic_depth_leaves_bodies_as_they_are(make: Any) -> None:
    """At a rate of almost one nothing but the final norm is left, and the batch's size stays."""
    backbone, h = make(width=WIDTH, drop_path=1 - 1e-7).train(), torch.randn(2, 15, WIDTH)
    backbone.blocks[0].drop_path.rate = backbone.blocks[1].drop_path.rate
    torch.testing.assert_close(backbone(h, batch_of(2)), F.layer_norm(h, (WIDTH,)))


@every
def test_bfloat16_on_the_cpu_is_close(make: Any) -> None:
    backbone = build(make).eval()
    for h, nodes in ((torch.randn(2, 15, WIDTH), None), (torch.randn(2, 4, WIDTH), SOME)):
        batch = graph_of(h, nodes)
        with torch.autocast("cpu", torch.bfloat16):
            low = backbone(h, batch)
        assert F.cosine_similarity(low.float().flatten(), backbone(h, batch).flatten(), dim=0) > 0.999


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every
def test_the_gpu_gives_the_same(make: Any) -> None:
    backbone = build(make).eval()
    cases = [(h, graph_of(h, nodes)) for h, nodes in ((torch.randn(3, 15, WIDTH), None), (torch.randn(2, 4, WIDTH), SOME))]
    expected = [backbone(h, batch) for h, batch in cases]
    backbone = backbone.cuda()  # edges found on the CPU must not be taken for the GPU's
    for (h, batch), value in zip(cases, expected, strict=True):
        torch.testing.assert_close(backbone(h.cuda(), batch.cuda()).cpu(), value, atol=1e-4, rtol=1e-4)
