r"""Parts of HA-CM alone (Spatial Hierarchy and Temporal Attention Guided Cross Masking, arXiv 2409.17951).

The Poincare ball has curvature -1 (Nickel and Kiela, NeurIPS 2017; Ganea et al., NeurIPS 2018). Its functions compute in
float32 or better and are finite, with finite gradients, for every finite input.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from masksem_graph.contrast import Contrast
from masksem_graph.graph import SkeletonData
from masksem_graph.masking.scores import Evidence, Scores
from masksem_graph.models.spaces import Space
from masksem_graph.targets import Target

LARGEST_NORM = 1 - 1e-5  # the surface itself is infinitely far away
SMALLEST_GAP = 1e-6  # of 1 - |u|^2, which float32 cannot resolve at LARGEST_NORM to better than 1e-7
SMALLEST_NORM = 1e-15
FACTOR = 4.0
"""Where the metric of curvature -1 has 2; see `poincare_distances`."""


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


class HierarchyScores(Scores):
    """Sum of a node's hyperbolic distances to the nodes of its segment, and to the trunk (HA-CM, as its code has it).

    The trunk is the mean of the topology's context joints, embedded without encodings and mapped into the ball; on a topology
    without any there is none.

    Args:
        trunk: weight of the distance to the trunk.
    """

    needs_embeddings = True

    def __init__(self, *, trunk: float = 0.01) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        if evidence.embedded is None or evidence.context is None:
            raise ValueError("HierarchyScores needs the student's embedded nodes and context joints")
        points = exponential_map(evidence.embedded)
        eta = poincare_distances(points, points, FACTOR).sum(-1)
        if evidence.context.shape[2]:
            trunk = exponential_map(evidence.context).mean(2, keepdim=True)
            eta = eta + self.trunk * poincare_distances(points, trunk, FACTOR)[..., 0]
        return eta


class AttentionScores(Scores):
    r"""Attention between segments, softmaxed over the joints, summed over the segments that ask (HA-CM, as its code has it).

    :math:`\eta_{sv} = \sum_t \mathrm{softmax}_v ( q_{tv} \cdot k_{sv} \sqrt{D} )`, with q and k two linear maps of the
    embedded nodes, encodings added.

    The maps reach the loss through a sort alone, so no gradient gets to them: they stay as drawn, and are saved with the run.
    """

    needs_embeddings = True

    def build(self, *, width: int) -> None:
        self.query, self.key = (nn.Linear(width, width).requires_grad_(False) for _ in range(2))
        for linear in (self.query, self.key):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        if evidence.embedded is None:
            raise ValueError("AttentionScores needs the student's embedded nodes")
        h = evidence.embedded
        q, k = (linear(h).float().transpose(1, 2) for linear in (self.query, self.key))
        logits = q @ k.transpose(2, 3) * h.shape[-1] ** 0.5
        return logits.softmax(1).sum(2).transpose(1, 2)


class AlternatingScores(Scores):
    """Segments 0, 2, 4, ... are scored by one part and 1, 3, 5, ... by another, as in HA-CM.

    Each sees its own segments alone, as if they were a clip. The two scores may differ in size: ``method.sampling: halves``
    makes a distribution of each, where ``whole`` compares them.

    Args:
        even: scores of segments 0, 2, 4, ...
        odd: scores of segments 1, 3, 5, ...
    """

    def __init__(self, *, even: Scores, odd: Scores) -> None:
        super().__init__()
        self.even, self.odd = even, odd
        self.needs_features = even.needs_features or odd.needs_features
        self.needs_embeddings = even.needs_embeddings or odd.needs_embeddings
        self.draws = even.draws + odd.draws

    def build(self, *, width: int) -> None:
        self.even.build(width=width)
        self.odd.build(width=width)

    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        eta = torch.empty_like(evidence.nodes[..., 0], dtype=torch.float32)
        for first, scores in enumerate((self.even, self.odd)):
            if first < eta.shape[1]:
                own = evidence.of_segments(first, 2)
                if evidence.uniform is not None:
                    own = replace(own, uniform=evidence.uniform.tensor_split([self.even.draws], 1)[first])
                eta[:, first::2] = scores(own).float()
        return eta

    def after_smoothing(self, eta: Float[Tensor, "B Te V"]) -> Float[Tensor, "B Te V"]:
        eta = eta.clone()
        for first, scores in enumerate((self.even, self.odd)):
            eta[:, first::2] = scores.after_smoothing(eta[:, first::2])
        return eta


class CrossContrast(Contrast):
    """Cross-contrast: what is seen of a body's even segments, of its odd ones and of all of them should agree.

    Three matrices of scalar products between the bodies (even with all, odd with all, even with odd), softmaxed row by row,
    are pulled to the identity by their mean squared error. There is no temperature and nothing is normalised, as in the
    authors' code.

    Args:
        weight: of the sum of the three errors.
    """

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def latents(
        self, features: Float[Tensor, "B n D"], kept: Int64[Tensor, "B n"], grid: tuple[int, int]
    ) -> Float[Tensor, "B 3 D"]:
        """Mean features over the kept nodes of even segments, of odd ones, and of all."""
        odd = (kept // grid[1] % 2).to(features.dtype)
        views = torch.stack([1 - odd, odd, torch.ones_like(odd)], 1)
        return views @ features / views.sum(2, keepdim=True).clamp(min=1)

    def forward(self, latents: Float[Tensor, "B 3 D"]) -> Float[Tensor, ""]:
        even, odd, whole = latents.unbind(1)
        identity = torch.eye(len(latents), dtype=latents.dtype, device=latents.device)
        similarities = torch.stack([(one @ other.T).softmax(1) for one, other in ((even, whole), (odd, whole), (even, odd))])
        return self.weight * (similarities - identity).square().mean((1, 2)).sum()
