"""What every encoding promises; one that is added to the package is tested by being there."""

from __future__ import annotations

from functools import partial
from typing import Any, get_args, get_type_hints

import pytest
import torch

import masksem_graph.encodings as encodings
from masksem_graph.encodings import Concatenate, Encoding, EncodingFactory, Laplacian, Learned, Sinusoidal
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch
from masksem_graph.parts import build_part
from masksem_graph.topology import Topology, load_topology
from tests.helpers import grid, reordered

SEGMENTS, WIDTH = 3, 6
TINY = load_topology("tiny5")


def every_encoding() -> list[Any]:
    found = []
    for name in encodings.__all__:
        part = getattr(encodings, name)
        if isinstance(part, type) and issubclass(part, Encoding) and part is not Encoding:
            over = get_type_hints(part.__init__).get("over")
            options = [{"over": choice} for choice in get_args(over)] if over else [{}]
            if part is Concatenate:
                continue
            found += [pytest.param(partial(part, **given), id="-".join([name, *given.values()])) for given in options]
    for name, parts in (("graph", [Laplacian, Sinusoidal]), ("learned", [partial(Learned, over="joints"), Sinusoidal])):
        found.append(pytest.param(partial(Concatenate, parts=parts), id=f"Concatenate-{name}"))
    return found


@pytest.fixture(params=every_encoding())
def make(request: pytest.FixtureRequest) -> EncodingFactory:
    return request.param


def build(make: EncodingFactory) -> Encoding:
    return build_part(make, width=WIDTH, joints=TINY.joints, segments=SEGMENTS)


def batch_on(topology: Topology = TINY) -> SkeletonBatch:
    return grid(topology, SEGMENTS, bodies=2)


def of_names(encoding: Encoding) -> bool:
    """Whether it has vectors of its own for joints, by name."""
    return any(isinstance(part, Learned) and part.joints is not None for part in encoding.modules())


def test_all_are_found() -> None:
    assert {"Laplacian", "Learned-joints", "Learned-segments", "RandomWalk", "Sinusoidal"} <= {p.id for p in every_encoding()}


def test_broadcasts_to_every_node(make: EncodingFactory) -> None:
    value = build(make)(batch_on())
    assert value.expand(SEGMENTS, 5, WIDTH).isfinite().all()
    assert value.dtype == torch.float32
    assert not torch.equal(value, torch.zeros_like(value))


def test_every_parameter_learns(make: EncodingFactory) -> None:
    encoding = build(make)
    value = encoding(batch_on())
    assert value.requires_grad == any(True for _ in encoding.parameters())
    if value.requires_grad:
        (value * torch.randn(SEGMENTS, 5, WIDTH)).sum().backward()
    for name, parameter in encoding.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_saved_and_loaded(make: EncodingFactory) -> None:
    one, other = build(make), build(make)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(batch_on()), other(batch_on()))


def test_the_skeleton_comes_with_the_batch(make: EncodingFactory) -> None:
    """Which batch came before is of no matter, nor how many bodies are in it, nor which nodes are kept."""
    encoding = build(make)
    first = encoding(batch_on())
    if not of_names(encoding):
        assert encoding(batch_on(load_topology("ntu25"))).expand(SEGMENTS, 25, WIDTH).isfinite().all()
    assert torch.equal(encoding(grid(TINY, SEGMENTS)), first)
    assert torch.equal(encoding(batch_on().subgraph(torch.tensor([[0, 7], [3, 4]]))), first), "of whole bodies"


def test_no_encoding_depends_on_a_joints_number(make: EncodingFactory) -> None:
    order = [3, 0, 4, 1, 2]
    encoding = build(make)
    here = encoding(batch_on()).detach().expand(SEGMENTS, 5, WIDTH)
    there = encoding(batch_on(reordered(TINY, order))).detach().expand(SEGMENTS, 5, WIDTH)
    torch.testing.assert_close(there, here[:, order], rtol=0, atol=1e-6)


def test_only_names_belong_to_a_topology(make: EncodingFactory) -> None:
    encoding, ntu = build(make), load_topology("ntu25")
    if of_names(encoding):
        lacking = ", ".join(joint for joint in ntu.joints if joint not in TINY.joints)
        line = (
            rf"^model.encodings: Learned has no vector for {lacking} of ntu25; expected joints that the encoder was trained on"
        )
        with pytest.raises(InputError, match=line):
            encoding(batch_on(ntu))
    else:
        assert encoding(batch_on(ntu)).expand(SEGMENTS, 25, WIDTH).isfinite().all()
