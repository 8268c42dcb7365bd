"""Velocity and acceleration: exact on polynomials, zero where a frame past the end is needed, no false jump."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.store import StoreWriter, open_store
from masksem_graph.data.views import whole_view
from masksem_graph.errors import InputError
from masksem_graph.targets import Coordinates, Moment, VelocityAcceleration, acceleration, velocity
from masksem_graph.topology import load_topology
from tests.helpers import batch_of

FRAMES = 8


def polynomial(*coefficients: float) -> Tensor:
    t = torch.arange(float(FRAMES))
    values = torch.stack([c * t**power for power, c in enumerate(coefficients)]).sum(0)
    return values[None, :, None, None].expand(2, FRAMES, 5, 3)


def test_a_line() -> None:
    x = polynomial(4.0, 3.0)
    assert velocity(x)[0, :, 0, 0].tolist() == [3.0] * 7 + [0.0]
    assert (acceleration(x) == 0).all(), "no jump of -v at the end"


def test_a_parabola() -> None:
    x = polynomial(1.0, 0.0, 2.0)
    assert velocity(x)[1, :, 4, 2].tolist() == [2.0 * (2 * t + 1) for t in range(7)] + [0.0]
    assert acceleration(x)[1, :, 4, 2].tolist() == [4.0] * 6 + [0.0, 0.0]


@pytest.mark.parametrize("frames", [1, 2])
def test_too_short_to_difference(frames: int) -> None:
    x = torch.randn(1, frames, 5, 3)
    assert (acceleration(x) == 0).all()
    assert (velocity(x)[:, -1] == 0).all()


@pytest.mark.parametrize(
    ("beta", "weights"),
    [(0.2, {"velocity": 0.8, "acceleration": 0.2}), (0.0, {"velocity": 1.0}), (1.0, {"acceleration": 1.0})],
)
def test_weights(beta: float, weights: dict[str, float]) -> None:
    target = VelocityAcceleration(beta=beta)
    assert target.weights == weights
    x = torch.randn(2, FRAMES, 5, 3)
    values = target.values(batch_of(x))
    assert list(values) == list(weights)
    for name, value in values.items():
        assert torch.equal(value, {"velocity": velocity, "acceleration": acceleration}[name](x))
    assert not target.before_resize


def test_coordinates() -> None:
    x = torch.randn(2, FRAMES, 5, 3)
    assert Coordinates().weights == {"coordinates": 1.0}
    assert torch.equal(Coordinates().values(batch_of(x))["coordinates"], x)
    assert not Coordinates().before_resize


@pytest.mark.parametrize("beta", [-0.1, 1.1, float("nan")])
def test_beta_out_of_range(beta: float) -> None:
    with pytest.raises(InputError, match=r"^beta: expected a share in \[0, 1\], found "):
        VelocityAcceleration(beta=beta)


@pytest.mark.parametrize("moment", ["before_resize", "after_resize"])
def test_upsampling_by_two_by_hand(tmp_path: Path, moment: Moment) -> None:
    """Five frames 0 1 4 9 16 to ten: position p lies at (p + 1/2) / 2 - 1/2, so at 0 (clamped), 1/4, 3/4, 5/4, ..."""
    topology = load_topology("tiny5")
    frames = np.broadcast_to((np.arange(5.0) ** 2)[:, None, None], (5, 5, 3)).astype(np.float32)
    with StoreWriter(tmp_path / "store", topology=topology, classes=("a",)) as writer:
        writer.add(Clip(name="c", label=0, bodies=(Body(0, frames, np.ones(5, bool)),)))
    target = VelocityAcceleration(beta=0.5, differentiate=moment)
    assert target.before_resize == (moment == "before_resize")
    store = open_store(tmp_path / "store")
    source = SkeletonLoader(store, frames=10, segment=2, derivatives=target.before_resize)
    clips = source.load(source.plan(whole_view(torch.tensor([0]), torch.tensor([5]))))
    x = [0, 0.25, 0.75, 1.75, 3.25, 5.25, 7.75, 10.75, 14.25, 16]
    assert clips.frames[0, :, 2, 1].tolist() == x
    values = {name: value[0, :, 2, 1].tolist() for name, value in target.values(clips).items()}
    if moment == "before_resize":
        # v = 1 3 5 7 0 and a = 2 2 2 0 0 on the original frames, then interpolated.
        assert values["velocity"] == [1, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 5.25, 1.75, 0]
        assert values["acceleration"] == [2, 2, 2, 2, 2, 1.5, 0.5, 0, 0, 0]
    else:
        assert values["velocity"] == [b - a for a, b in pairwise(x)] + [0]
        assert values["acceleration"][:4] == [0.25, 0.5, 0.5, 0.5]
        assert values["acceleration"][-2:] == [0, 0]


def test_the_jump_at_the_end_of_the_authors_code() -> None:
    x = polynomial(1.0, 0.0, 2.0)
    assert acceleration(x, end="jump")[0, :, 0, 0].tolist() == [4.0] * 6 + [-26.0, 0.0], "v = 26 before the zero"
    assert acceleration(polynomial(4.0, 3.0), end="jump")[0, :, 0, 0].tolist() == [0.0] * 6 + [-3.0, 0.0]
    target = VelocityAcceleration(end="jump")
    assert torch.equal(target.values(batch_of(x))["acceleration"], velocity(velocity(x)))


def test_no_jump_before_the_resize() -> None:
    with pytest.raises(InputError, match=r"^end: jump needs differentiate: after_resize, found before_resize$"):
        VelocityAcceleration(end="jump", differentiate="before_resize")


def test_before_the_resize_needs_what_the_loader_makes() -> None:
    with pytest.raises(ValueError, match="need clips read with derivatives"):
        VelocityAcceleration(differentiate="before_resize").values(batch_of(polynomial(1.0, 2.0)))
