"""What a wrapped model is given, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import models

from masksem_graph.backbones import GraphModel, graph_model
from masksem_graph.backbones.message_passing import one_hot_edges
from masksem_graph.backbones.wrapped import degree_histogram
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch
from masksem_graph.topology import load_topology

TINY = load_topology("tiny5")
BATCH = SkeletonBatch.from_frames(torch.zeros(2, 3, 5, 3), topology=TINY, segment=1, sequence=torch.arange(2))


def wrap(model: type[nn.Module], hops: int = 1, **options: Any) -> GraphModel:
    return GraphModel(width=8, model=model, options=options, hops=hops, kept_hops=2, topologies=(TINY,))


class Recorder(nn.Module):
    """Keeps what it is given."""

    def __init__(self, width: int, edge_dim: int, channels: int, size: int = 3) -> None:
        super().__init__()
        self.given = {"width": width, "edge_dim": edge_dim, "channels": channels, "size": size}

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor, edge_attr: Tensor, edge_weight: Any = None) -> Tensor:
        self.inputs = {"edge_index": edge_index, "batch": batch, "edge_attr": edge_attr, "edge_weight": edge_weight}
        return x


class Weighted(nn.Module):
    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out = nn.Linear(8, out_channels)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        self.weight = edge_weight
        return self.out(x)


def test_by_the_signatures() -> None:
    backbone = wrap(Recorder, hops=3, size=5)
    assert backbone.model.given == {"width": 8, "edge_dim": 14, "channels": 8, "size": 5}
    h = torch.randn(2, 15, 8)
    torch.testing.assert_close(backbone(h, BATCH), nn.functional.layer_norm(h, (8,)))
    graph, found = BATCH.over(3), backbone.model.inputs
    assert torch.equal(found["edge_index"], graph.edge_index) and found["edge_weight"] is None
    assert torch.equal(found["edge_attr"], one_hot_edges(graph.edge_attr, 3))
    assert found["batch"].tolist() == [0] * 15 + [1] * 15


def test_edge_weights_where_there_are_no_edge_features() -> None:
    backbone = wrap(Weighted, hops=2)
    backbone(torch.randn(2, 15, 8), BATCH)
    assert set(backbone.model.weight.tolist()) == {1.0, 0.5}


def test_it_is_the_model_and_a_norm() -> None:
    torch.manual_seed(1)
    backbone = wrap(models.GCN, num_layers=2)
    torch.manual_seed(1)
    plain = models.GCN(8, 8, 2, 8)
    h = torch.randn(2, 15, 8)
    expected = backbone.norm(plain(h.flatten(0, 1), BATCH.edge_index).view_as(h))
    assert torch.equal(backbone(h, BATCH), expected), "at one hop every weight is 1"


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        (models.GCN, {"edge_weight"}),
        (models.GraphSAGE, set()),
        (models.GIN, set()),
        (models.GAT, {"edge_attr"}),
        (models.PNA, {"edge_attr"}),
    ],
)
def test_torch_geometrics_models_take_what_they_use(model: Any, takes: set[str]) -> None:
    assert wrap(model, num_layers=1).inputs == {"x", "edge_index", "batch", "batch_size"} | takes


def test_a_factory_tells_its_own_arguments_from_the_models() -> None:
    backbone = graph_model(models.GAT, num_layers=2, heads=2, hops=2, kept_hops=3, masked="token")(width=8)
    assert (backbone.hops, backbone.kept_hops, backbone.masked) == (2, 3, "token")
    assert len(backbone.model.convs) == 2 and backbone.model.convs[0].lin_edge.weight.shape[1] == 3 * 3 + 5


def test_hidden_channels_may_differ() -> None:
    assert wrap(models.GIN, num_layers=2, hidden_channels=5).model.convs[0].nn.lins[0].weight.shape == (5, 8)


def test_layers_get_their_options() -> None:
    backbone = wrap(models.GAT, num_layers=1, heads=4)
    assert backbone.model.convs[0].heads == 4 and backbone.model.convs[0].lin_edge.weight.shape[1] == 3 * 2 + 5


def test_degrees_by_hand() -> None:
    """Hip, head, two hands, foot: 2, 3, 1, 1, 1 bones, and two steps in time each."""
    assert degree_histogram((TINY,), 1, models.PNA).tolist() == [0, 0, 0, 3, 1, 1]
    assert degree_histogram((TINY, TINY), 1, models.PNA).tolist() == [0, 0, 0, 6, 2, 2]


def test_pna_as_in_its_paper() -> None:
    aggregation = wrap(models.PNA, num_layers=1).model.convs[0].aggr_module
    assert aggregation.scaler == ["identity", "amplification", "attenuation"]
    assert [type(a).__name__ for a in aggregation.aggr.aggrs] == [f"{n}Aggregation" for n in ("Mean", "Min", "Max", "Std")]
    torch.testing.assert_close(aggregation.avg_deg_lin, torch.tensor([(3 * 3 + 4 + 5) / 5]))
    chosen = wrap(models.PNA, num_layers=1, scalers=["identity"], deg=torch.tensor([0, 2])).model.convs[0].aggr_module
    assert chosen.scaler == ["identity"] and chosen.avg_deg_lin == 1


def test_a_wider_output_is_refused() -> None:
    class Wide(nn.Module):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return torch.cat([x, x], 1)

    class Two(nn.Module):
        def forward(self, x: Tensor, edge_index: Tensor) -> Any:
            return x, edge_index

    for model, found in ((Wide, r"\[3, 16\]"), (Two, "tuple")):
        message = rf"{model.__name__}: expected features \[nodes, width\] = \[3, 8\], found {found}$"
        with pytest.raises(InputError, match=message):
            wrap(model)


def test_bodies_that_see_each_other_are_refused() -> None:
    """Without a batch vector torch_geometric's layer norm is over all nodes of all graphs; the MLP of `GIN` gives it none."""
    with pytest.raises(InputError, match=r"GIN: expected bodies that do not see each other .* norm_kwargs {mode: node}$"):
        wrap(models.GIN, num_layers=2, norm="layer_norm")
    wrap(models.GCN, num_layers=2, norm="layer_norm")  # here it gets one
    wrap(models.GIN, num_layers=2, norm="layer_norm", norm_kwargs={"mode": "node"})
    wrap(models.GIN, num_layers=2, norm="batch_norm")


def test_trying_a_model_out_draws_nothing_and_leaves_it_in_training() -> None:
    torch.manual_seed(1)
    backbone = wrap(models.GIN, num_layers=2, norm="batch_norm", dropout=0.5)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    models.GIN(8, 8, 2, 8, norm="batch_norm", dropout=0.5)
    assert torch.equal(torch.rand(1), drawn)
    assert all(module.training for module in backbone.modules())
    assert not any(value.any() for name, value in backbone.named_buffers() if "running_mean" in name)


class NoGraph(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


class AsksForMore(nn.Module):
    def forward(self, x: Tensor, edge_index: Tensor, pos: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (models.GIN, {}, r"GIN: num_layers is required; found the options none$"),
        (models.GIN, {"num_layer": 4}, r"GIN: num_layers is required; found the options num_layer$"),
        (models.GIN, {"num_layers": 1, "droput": 0.1}, r"GIN: no option 'droput'; did you mean dropout\?$"),
        (models.GAT, {"num_layers": 1, "head": 2}, r"GAT: no option 'head'; did you mean heads\?$"),
        (models.GAT, {"num_layers": 2, "heads": 3}, r"GAT: .*divisible.*$"),
        (models.PNA, {"num_layers": 1, "tower": 2}, r"PNA: no option 'tower'; did you mean towers\?$"),
        (models.GCN, {"num_layers": 1, "zzz": 2}, r"GCN: no option 'zzz'; expected one of act, "),
        (models.GCN, {"num_layers": 1, "in_channels": 2}, r"GCN: in_channels follows from .*, found it as an option$"),
        (Recorder, {"sizes": 2}, r"Recorder: no option 'sizes'; did you mean size\?$"),
        (NoGraph, {}, r"NoGraph: expected forward\(x, edge_index, ...\), found no argument edge_index$"),
        (AsksForMore, {}, r"AsksForMore: forward asks for pos; a backbone has x, edge_index, .*$"),
    ],
)
def test_refused(model: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        wrap(model, **options)
    assert "\n" not in str(caught.value)


def test_degrees_need_a_topology() -> None:
    with pytest.raises(InputError, match=r"PNA: deg is counted on a topology, found none"):
        GraphModel(width=8, model=models.PNA, options={"num_layers": 1})


@pytest.mark.parametrize("name", ["hops", "kept_hops"])
def test_no_reach(name: str) -> None:
    with pytest.raises(InputError, match=rf"^{name}: expected at least 1, found 0$"):
        GraphModel(width=8, model=models.GIN, options={"num_layers": 1}, **{name: 0})
