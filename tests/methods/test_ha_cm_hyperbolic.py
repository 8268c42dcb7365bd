"""The Poincare ball: closed forms, isometries, and no NaN anywhere."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from masksem_graph.methods.ha_cm import LARGEST_NORM, exponential_map, poincare_distances


def distance(u: Tensor, v: Tensor, factor: float = 2.0) -> Tensor:
    return poincare_distances(u[None], v[None], factor)[0, 0]


def on_axis(value: float, dimension: int = 3) -> Tensor:
    return torch.tensor([value] + [0.0] * (dimension - 1), dtype=torch.float64)


@pytest.mark.parametrize("length", [0.0, 1e-12, 1e-3, 0.5, 1.0, 3.0])
def test_exponential_map_by_hand(length: float) -> None:
    assert exponential_map(on_axis(-length)).tolist() == pytest.approx([-math.tanh(length), 0, 0], rel=1e-12)


@pytest.mark.parametrize("length", [1e-6, 0.1, 1.0, 4.0])
def test_the_map_turns_a_length_into_twice_the_distance(length: float) -> None:
    """d(0, exp(x)) = 2 |x|: the metric at the origin is 4 |dx|^2."""
    x = torch.randn(7, dtype=torch.float64)
    x *= length / x.norm()
    assert distance(torch.zeros_like(x), exponential_map(x)).item() == pytest.approx(2 * length, rel=1e-9)


@pytest.mark.parametrize(("a", "b"), [(0.0, 0.5), (-0.3, 0.6), (0.2, 0.2), (0.9, -0.99), (0.5, 0.5 + 1e-9)])
def test_distances_on_a_diameter_add_up(a: float, b: float) -> None:
    expected = abs(2 * math.atanh(a) - 2 * math.atanh(b))
    assert distance(on_axis(a), on_axis(b)).item() == pytest.approx(expected, rel=1e-6, abs=1e-15)


@pytest.mark.parametrize("factor", [2.0, 4.0])
def test_distances_as_the_formula_reads(factor: float) -> None:
    u, v = (exponential_map(torch.randn(2, n, 5, dtype=torch.float64)) for n in (3, 4))
    found = poincare_distances(u, v, factor)
    assert found.shape == (2, 3, 4)
    for b in range(2):
        for i in range(3):
            for j in range(4):
                gaps = (1 - u[b, i] @ u[b, i]) * (1 - v[b, j] @ v[b, j])
                expected = torch.arccosh(1 + factor * (u[b, i] - v[b, j]).square().sum() / gaps)
                torch.testing.assert_close(found[b, i, j], expected)


def translated(x: Tensor, by: Tensor) -> Tensor:
    """Moebius addition ``by (+) x``, an isometry of the ball."""
    xy, x2, y2 = (x * by).sum(-1, keepdim=True), x.square().sum(-1, keepdim=True), by.square().sum(-1, keepdim=True)
    return ((1 + 2 * xy + x2) * by + (1 - y2) * x) / (1 + 2 * xy + x2 * y2)


def test_isometries() -> None:
    points = exponential_map(0.7 * torch.randn(6, 4, dtype=torch.float64))
    between = poincare_distances(points, points)
    turn = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64)).Q
    torch.testing.assert_close(poincare_distances(points @ turn, points @ turn), between, atol=1e-9, rtol=0)
    moved = translated(points, exponential_map(torch.randn(4, dtype=torch.float64)))
    torch.testing.assert_close(poincare_distances(moved, moved), between, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(between, between.T)
    assert (between.diagonal() == 0).all()
    assert (between[:, :, None] + between[None] >= between[:, None] - 1e-12).all(), "triangle inequality"


def test_gradients_are_those_of_the_formulas() -> None:
    x, y = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(exponential_map, (x,))
    assert torch.autograd.gradcheck(lambda a, b: poincare_distances(exponential_map(a), exponential_map(b)), (x, y))


def test_half_precision_is_computed_in_single() -> None:
    x = torch.randn(5, 8).bfloat16()
    assert exponential_map(x).dtype == torch.float32
    assert torch.equal(exponential_map(x), exponential_map(x.float()))
    assert poincare_distances(0.1 * x, 0.1 * x).dtype == torch.float32


EXTREMES = [0.0, 1e-45, 1e-30, 1e-19, 1e-7, 1e-3, 1.0, 8.0, 9.1, 100.0, 1e19, 1e30, 3e38]


@pytest.mark.parametrize("length", EXTREMES)
def test_the_map_is_finite_everywhere(length: float) -> None:
    x = torch.tensor([[length, 0.0], [-length, length], [length, 1.0], [0.0, 0.0]], requires_grad=True)
    points = exponential_map(x)
    assert points.isfinite().all() and (points.norm(dim=1) <= LARGEST_NORM + 1e-7).all()
    points.sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
    if length >= 1:
        assert points[0, 0].item() == pytest.approx(min(math.tanh(length), LARGEST_NORM), rel=1e-6)
    torch.testing.assert_close(x.grad[3], torch.ones(2), msg="the map is the identity at the origin")


@pytest.mark.parametrize("norm", [0.0, 0.5, 1 - 1e-3, 1 - 1e-5, 1 - 1e-7, 1.0, 1.5])
@pytest.mark.parametrize("apart", [0.0, 1e-30, 1e-7, 1e-3, 1.0, 2.0])
def test_distances_are_finite_everywhere(norm: float, apart: float) -> None:
    """Even for points that are not in the ball at all."""
    u = torch.tensor([[norm, 0.0]], requires_grad=True)
    v = torch.tensor([[norm - apart, 0.0]], requires_grad=True)
    found = poincare_distances(u, v, 4.0)
    assert found.isfinite().all() and (found >= 0).all()
    found.sum().backward()
    for points in (u, v):
        assert points.grad is not None and points.grad.isfinite().all()


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=200, deadline=None)
@given(values=st.lists(finite, min_size=6, max_size=6))
def test_no_nan_ever(values: list[float]) -> None:
    x = torch.tensor(values, dtype=torch.float32).view(3, 2).requires_grad_()
    points = exponential_map(x)
    found = poincare_distances(points, points, 4.0)
    assert points.isfinite().all() and (points.norm(dim=1) < 1).all()
    assert found.isfinite().all() and (found >= 0).all()
    (points.sum() + found.sum()).backward()
    assert x.grad is not None and x.grad.isfinite().all()
