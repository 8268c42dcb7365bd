r"""The Poincare ball of curvature -1 (Nickel and Kiela, NeurIPS 2017; Ganea et al., NeurIPS 2018), and parts that map into it.

All functions compute in float32 or better and are finite, with finite gradients, for every finite input: near the origin, on
top of each other and at the surface.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.graph import SkeletonData
from masksem_graph.models.spaces import Space
from masksem_graph.targets import Target

LARGEST_NORM = 1 - 1e-5  # the surface itself is infinitely far away
SMALLEST_GAP = 1e-6  # of 1 - |u|^2, which float32 cannot resolve at LARGEST_NORM to better than 1e-7
SMALLEST_NORM = 1e-15


def exponential_map(x: Float[Tensor, "*n D"]) -> Float[Tensor, "*n D"]:
    r"""From the tangent space at the origin into the ball: :math:`\tanh(|x|) \, x / |x|`, kept below norm 1.

    It turns a vector of length r into the point at distance 2r from the origin in the same direction.
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    # Squares of very long or short vectors leave float32's range, so the norm is taken of x over its largest entry.
    scale = x.detach().abs().amax(-1, keepdim=True).clamp(min=SMALLEST_NORM)
    norm = (scale * torch.linalg.vector_norm(x / scale, dim=-1, keepdim=True)).clamp(min=SMALLEST_NORM)
    return x / norm * norm.tanh().clamp(max=LARGEST_NORM)


def poincare_distances(u: Float[Tensor, "*n P D"], v: Float[Tensor, "*n Q D"], factor: float = 2.0) -> Float[Tensor, "*n P Q"]:
    r"""Distances between all pairs of two sets of points: :math:`\cosh^{-1}(1 + f |u - v|^2 / ((1 - |u|^2)(1 - |v|^2)))`.

    Computed as :math:`2 \sinh^{-1} \sqrt{(\cdot) / 2}`, which is the same and loses nothing where points are close. The
    gradient of two points that coincide is taken as zero.

    Args:
        u, v: points of the ball.
        factor: f; 2 is the metric of curvature -1.
    """
    u, v = (points.to(torch.promote_types(points.dtype, torch.float32)) for points in (u, v))
    # Without a matrix product: |u|^2 - 2uv + |v|^2 would be noise for neighbours near the surface.
    apart = torch.cdist(u, v, compute_mode="donot_use_mm_for_euclid_dist")
    gap_u, gap_v = ((1 - points.square().sum(-1)).clamp(min=SMALLEST_GAP) for points in (u, v))
    return 2 * ((factor / 2) ** 0.5 * apart * (gap_u[..., :, None] * gap_v[..., None, :]).rsqrt()).asinh()


class PoincareBall(Space):
    """Nodes mapped at the origin into the Poincare ball by `exponential_map`: what the encoder's blocks see (HA-CM)."""

    def forward(self, h: Float[Tensor, "B n D"]) -> Float[Tensor, "B n D"]:
        return exponential_map(h)


class InPoincareBall(Target):
    """A target's vector of each joint in each frame, mapped at the origin into the Poincare ball (HA-CM).

    The map shortens a vector of length r to tanh(r): a velocity of centimetres a frame hardly changes.

    Args:
        target: what is mapped.
    """

    def __init__(self, *, target: Target) -> None:
        self.target = target
        self.before_resize = target.before_resize

    @property
    def weights(self) -> dict[str, float]:
        return self.target.weights

    def values(self, batch: SkeletonData) -> dict[str, Float[Tensor, "B T J C"]]:
        return {name: exponential_map(values) for name, values in self.target.values(batch).items()}
