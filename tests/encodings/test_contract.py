"""What every encoding promises; one that is added to the package is tested by being there."""

from __future__ import annotations

from functools import partial
from typing import Any, get_args, get_type_hints

import pytest
import torch

import masksem_graph.encodings as encodings
from masksem_graph.encodings import Concatenate, Encoding, EncodingFactory, Laplacian, Learned, Sinusoidal
from masksem_graph.topology import load_topology, parse_topology

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


def build(make: EncodingFactory, topology: Any = TINY) -> Encoding:
    return make(width=WIDTH, topology=topology, segments=SEGMENTS)


def test_all_are_found() -> None:
    assert {"Laplacian", "Learned-joints", "Learned-segments", "RandomWalk", "Sinusoidal"} <= {p.id for p in every_encoding()}


def test_broadcasts_to_every_node(make: EncodingFactory) -> None:
    value = build(make)()
    assert value.expand(SEGMENTS, 5, WIDTH).isfinite().all()
    assert value.dtype == torch.float32
    assert not torch.equal(value, torch.zeros_like(value))


def test_every_parameter_learns(make: EncodingFactory) -> None:
    encoding = build(make)
    value = encoding()
    assert value.requires_grad == any(True for _ in encoding.parameters())
    if value.requires_grad:
        (value * torch.randn(SEGMENTS, 5, WIDTH)).sum().backward()
    for name, parameter in encoding.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_saved_and_loaded(make: EncodingFactory) -> None:
    one, other = build(make), build(make)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(), other())


def test_only_joint_numbered_ones_depend_on_a_joints_number(make: EncodingFactory) -> None:
    order = [3, 0, 4, 1, 2]
    encoding = build(make)
    fields = TINY.to_dict() | {"joints": [TINY.joints[i] for i in order]}
    other = build(make, parse_topology(fields, source_file="reordered"))
    other.load_state_dict(encoding.state_dict())
    here, there = (value.detach().expand(SEGMENTS, 5, WIDTH) for value in (encoding(), other()))
    assert torch.allclose(there, here[:, order], rtol=0, atol=1e-6) != encoding.joint_numbered


def test_only_joint_numbered_ones_belong_to_a_topology(make: EncodingFactory) -> None:
    encoding, other = build(make), build(make, load_topology("ntu25"))
    if encoding.joint_numbered:
        with pytest.raises(RuntimeError, match="size mismatch"):
            other.load_state_dict(encoding.state_dict())
    else:
        other.load_state_dict(encoding.state_dict())
        assert other().expand(SEGMENTS, 25, WIDTH).isfinite().all()


def test_learned_says_what_it_is_numbered_by() -> None:
    assert build(partial(Learned, over="joints")).joint_numbered
    assert not build(partial(Learned, over="segments")).joint_numbered
    assert build(partial(Learned, over="joints"))().shape == (1, 5, WIDTH)
    assert build(partial(Learned, over="segments"))().shape == (SEGMENTS, 1, WIDTH)
