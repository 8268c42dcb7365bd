"""One source of edges: one bone less changes all that follows from the skeleton; without the graph nothing is made."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

import masksem_graph.edges as edges_module
from masksem_graph.backbones import GAT, GCN, GPS, STGCN, Backbone, Transformer
from masksem_graph.edges import hop_distance, reach_graph, skeleton_graph
from masksem_graph.encodings import HopBias, Laplacian, RandomWalk
from masksem_graph.graph import Grid, SkeletonBatch
from masksem_graph.masking import Sampler
from masksem_graph.operators import Adjacency, Heat, PersonalisedPageRank, SpatioTemporal, adjacency_of, matrix_of
from masksem_graph.topology import Topology, load_topology
from tests.helpers import grid

SEGMENTS = 3
OPERATORS = [Adjacency, PersonalisedPageRank, Heat, SpatioTemporal]
MESSAGE_PASSING = [GCN, GAT, GPS, STGCN]


@pytest.fixture
def two(tmp_path: Path) -> list[Topology]:
    """The same file with and without one bone; the hands are joined, so that the body holds together without it."""
    fields = load_topology("tiny5").to_dict()
    fields["bones"] += [["left_hand", "right_hand"], ["left_hand", "foot"]]
    out = []
    for without in ([], [["left_hand", "foot"]]):
        path = tmp_path / "body.yaml"
        path.write_text(yaml.safe_dump(fields | {"bones": [bone for bone in fields["bones"] if bone not in without]}))
        out.append(load_topology(path))
    return out


def smoothed(operator: Operator, topology: Topology) -> Tensor:
    eta = torch.rand(4, SEGMENTS, 5, generator=torch.Generator().manual_seed(1))
    return operator(eta, grid(topology, SEGMENTS, bodies=4))


def test_the_graph_itself(two: list[Topology]) -> None:
    with_bone, without = (grid(topology, SEGMENTS, bodies=2) for topology in two)
    assert with_bone.num_edges - without.num_edges == 2 * SEGMENTS * 2
    assert hop_distance(two[0])[2, 4] == 1 and hop_distance(two[1])[2, 4] == 3
    kept = torch.tensor([[2, 4], [3, 9]])
    assert with_bone.subgraph(kept).num_edges == 2 and without.subgraph(kept).num_edges == 0


@pytest.mark.parametrize("make", OPERATORS)
def test_smoothing_and_masks(two: list[Topology], make: type[Operator]) -> None:
    operator = make()
    one, other = (smoothed(operator, topology) for topology in two)
    assert not torch.allclose(one, other)
    uniform = torch.rand(4, 5 * SEGMENTS)
    draws = [Sampler(ratio=0.6, temperature=0.1)(eta, uniform).mask.masked for eta in (one, other, one)]
    assert not torch.equal(draws[0], draws[1]), "the same uniform numbers"
    assert torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("make", [Laplacian, RandomWalk])
def test_encodings(two: list[Topology], make: Callable[..., Any]) -> None:
    encoding = make(width=8)
    one, other = (encoding(grid(topology, SEGMENTS)) for topology in two)
    assert one.shape == other.shape and not torch.allclose(one, other)


def test_hop_bias(two: list[Topology]) -> None:
    bias = HopBias(heads=2)
    torch.nn.init.normal_(bias.over_bones)
    one, other = (bias(grid(topology)) for topology in two)
    changed = ((one != other).any(1)[0]).nonzero().tolist()
    # Without it hand and foot are three bones apart, and the other joints that they were nearer to through it.
    assert [2, 4] in changed and [4, 2] in changed and [0, 1] not in changed


@pytest.mark.parametrize("make", MESSAGE_PASSING)
@pytest.mark.parametrize("kept", [None, torch.tensor([[2, 4, 9], [3, 4, 12]])], ids=["all", "kept"])
def test_message_passing(two: list[Topology], make: type[Backbone], kept: Tensor | None) -> None:
    backbone = make(width=8, depth=1, kept_hops=1).eval()
    h = torch.randn(2, 15 if kept is None else 3, 8)
    wholes = [grid(topology, SEGMENTS, bodies=2) for topology in two]
    one, other = (backbone(h, whole if kept is None else whole.subgraph(kept)) for whole in wholes)
    assert not torch.allclose(one, other)


# Without `skeleton_graph`, nothing.


def clear_caches() -> None:
    """All that the package keeps of a topology."""
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "masksem_graph"]
    for module in modules:
        for value in list(vars(module).values()):
            if callable(getattr(value, "cache_clear", None)):
                value.cache_clear()


@pytest.fixture
def no_graph() -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no graph")

    real, names = skeleton_graph, [name for name in sys.modules if name.split(".")[0] == "masksem_graph"]
    clear_caches()
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            for field, value in list(vars(sys.modules[name]).items()):
                if value is real:
                    patch.setattr(sys.modules[name], field, refuse)
        assert edges_module.skeleton_graph is refuse
        yield
    clear_caches()


def without_a_graph() -> list[Any]:
    topology = load_topology("tiny5")
    frames = torch.zeros(1, SEGMENTS, 5, 3)
    made: dict[str, Callable[[], Any]] = {
        "batch": lambda: SkeletonBatch.from_frames(frames, topology=topology, segment=1),
        "hop_distance": lambda: hop_distance(topology),
        "reach_graph": lambda: reach_graph(topology, SEGMENTS, 2),
        **{make.__name__: (lambda make=make: make().matrix(topology)) for make in OPERATORS},
        "spatio-temporal smoothing": lambda: SpatioTemporal()(torch.zeros(1, SEGMENTS, 5), _bare(topology)),
        **{make.__name__: (lambda make=make: make(width=8)(_bare(topology))) for make in (Laplacian, RandomWalk)},
        "HopBias": lambda: HopBias(heads=2)(_bare(topology)),
        "subgraph's edges": lambda: _bare(topology).subgraph(torch.tensor([[0, 1]])).edge_index,
    }
    return [pytest.param(make, id=name) for name, make in made.items()]


def _bare(topology: Topology) -> SkeletonBatch:
    """A batch that came from elsewhere: its topology is known, its edges are not."""
    nodes = SEGMENTS * len(topology)
    return SkeletonBatch(
        x=torch.zeros(nodes, 1),
        joint=torch.arange(nodes) % len(topology),
        segment=torch.arange(nodes) // len(topology),
        body=torch.zeros(nodes, dtype=torch.int64),
        batch=torch.zeros(nodes, dtype=torch.int64),
        sequence=torch.zeros(1, dtype=torch.int64),
        y=torch.full((1,), -1),
        grid=Grid(topology, SEGMENTS),
    )


@pytest.mark.parametrize("make", without_a_graph())
def test_nothing_is_made_without_it(no_graph: None, make: Callable[[], Any]) -> None:
    with pytest.raises(RuntimeError, match=r"^no graph$"):
        make()


@pytest.mark.parametrize("make", without_a_graph())
def test_all_of_it_is_made_with_it(make: Callable[[], Any]) -> None:
    assert make() is not None


def test_attention_needs_no_edge(no_graph: None) -> None:
    backbone = Transformer(width=8, depth=1, heads=2)
    some = _bare(load_topology("tiny5")).subgraph(torch.tensor([[0, 1]]))
    assert backbone(torch.randn(1, 2, 8), some).shape == (1, 2, 8)


# What is cached serves training, whoever asked first.


def cached_things(topology: Topology) -> list[Tensor]:
    from masksem_graph.encodings.projected import laplacian_eigenvectors, rest_features, return_probabilities
    from masksem_graph.encodings.tables import sinusoids
    from masksem_graph.graph import input_columns

    cpu = torch.device("cpu")
    graphs = [skeleton_graph(topology, 4), reach_graph(topology, 4, 3)]
    wholes = [grid(topology, 4, bodies).over(hops) for bodies in (3, 1) for hops in (1, 3)]
    return [
        *(value for graph in graphs for value in graph.to_dict().values() if isinstance(value, Tensor)),
        *(getattr(whole, name) for whole in wholes for name in ("edge_index", "edge_attr", "joint", "segment", "body")),
        hop_distance(topology),
        hop_distance(topology, device=cpu),
        input_columns(topology, topology.joints),
        laplacian_eigenvectors(topology, 3),
        return_probabilities(topology, 3),
        rest_features(topology, 2),
        sinusoids(4, 6),
        *(matrix_of(topology, operator, device=cpu) for operator in HELD),
        adjacency_of(topology, 1, "symmetric", 4),
    ]


HELD: list[Any] = [make() for make in OPERATORS]


def test_nothing_cached_is_of_inference() -> None:
    clear_caches()
    topology = load_topology("kinect20")
    with torch.inference_mode():
        first = cached_things(topology)
    again = cached_things(topology)
    for one, other in zip(first, again, strict=True):
        assert one.data_ptr() == other.data_ptr(), "kept"
        assert not other.is_inference()


@pytest.mark.parametrize("make", [*MESSAGE_PASSING, Transformer])
def test_training_after_inference(make: type[Backbone]) -> None:
    clear_caches()
    topology, operator = load_topology("kinect20"), Adjacency()
    options: dict[str, Any] = {"heads": 2, "bias": HopBias} if make is Transformer else {}
    backbone = make(width=8, depth=1, **options)
    encodings = [part(width=8) for part in (Laplacian, RandomWalk)]

    def step() -> Tensor:
        whole = grid(topology, SEGMENTS, bodies=2)
        table = sum(encoding(whole).expand(SEGMENTS, 20, 8).flatten(0, 1) for encoding in encodings)
        eta = operator((table.square().sum(-1)).view(1, SEGMENTS, 20).expand(2, -1, -1), whole)
        out = backbone(table + eta.flatten(1)[..., None], whole)
        kept = torch.arange(0, 60, 2).expand(2, -1)
        return out.square().mean() + backbone(out[:, ::2], whole.subgraph(kept)).square().mean()

    with torch.inference_mode():
        expected = step()
    loss = step()
    loss.backward()
    torch.testing.assert_close(loss.detach(), expected.clone())
    gradients = [p.grad for part in (backbone, *encodings) for p in part.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_equal_topologies_share_entries() -> None:
    one, other = load_topology("kinect20"), load_topology("kinect20")
    assert one is not other
    for mine, theirs in zip(cached_things(one), cached_things(other), strict=True):
        assert mine.data_ptr() == theirs.data_ptr()
