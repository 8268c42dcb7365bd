"""What a mask leaves visible, in numbers: masks are described by the visible set, never by the distribution alone.

When nine tenths of the nodes are drawn, ratios of probabilities are exponentiated: a node stays visible with probability
about exp(-s N pi).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.masking.sampler import Sampler

AT_ONCE = 64
"""Draws that are handled together; changes memory, not results."""


@dataclass(frozen=True)
class VisibleSet:
    """How a strategy's visible nodes differ from uniformly random ones; means over bodies.

    Args:
        total_variation: distance of the visible nodes' distribution from uniform: the share of the visible set that would
            have to move elsewhere. Of so many draws alone it is `expected_by_chance` already where masks are uniform.
        expected_by_chance: the same of uniform masks, each draw from numbers of its own.
        motion_share: motion of the visible nodes over that of all nodes, both per node; 1 where masks know nothing of it.
        rank_correlation: Spearman's, of score and motion over a body's nodes; NaN where a body's scores are all alike.
        common: share of the variance of how often a node is visible that is the same pattern in every body.
    """

    total_variation: float
    expected_by_chance: float
    motion_share: float
    rank_correlation: float
    common: float

    def to_dict(self) -> dict[str, float]:
        """The figures by name."""
        return asdict(self)


@torch.no_grad()
def describe_visible(
    eta: Float[Tensor, "B Te V"],
    motion: Float[Tensor, "B Te V"],
    sampler: Sampler,
    *,
    generator: torch.Generator,
    draws: int = 1000,
) -> VisibleSet:
    """Describe a strategy by its visible sets.

    Args:
        eta: the scores that masks are drawn from.
        motion: how much each node moves.
        sampler: draws the masks.
        generator: where the uniform numbers come from.
        draws: masks a body.
    """
    seen, chance = (
        visible_frequency(values, sampler, generator=generator, draws=draws) for values in (eta, torch.ones_like(eta))
    )
    moved = motion.flatten(1)
    share = (seen * moved).sum(1) / (seen.sum(1) * moved.mean(1)).clamp(min=1e-12)
    return VisibleSet(
        total_variation=_from_uniform(seen),
        expected_by_chance=_from_uniform(chance),
        motion_share=share.mean().item(),
        rank_correlation=torch.stack([_spearman(*pair) for pair in zip(eta.flatten(1), moved, strict=True)]).nanmean().item(),
        common=_common(seen, draws),
    )


def visible_frequency(
    eta: Float[Tensor, "B Te V"], sampler: Sampler, *, generator: torch.Generator, draws: int
) -> Float[Tensor, "B N"]:
    """How often each node stays visible, over fresh uniform numbers for every draw and body."""
    bodies, nodes = len(eta), eta[0].numel()
    count = torch.zeros(bodies, nodes)
    for first in range(0, draws, AT_ONCE):
        now = min(AT_ONCE, draws - first)
        uniform = torch.rand(now * bodies, nodes, generator=generator)
        kept = sampler(eta.repeat(now, 1, 1), uniform).mask.kept
        count += torch.zeros_like(uniform).scatter_(1, kept, 1.0).view(now, bodies, nodes).sum(0)
    return count / draws


def _from_uniform(seen: Float[Tensor, "B N"]) -> float:
    share = seen / seen.sum(1, keepdim=True)
    return (share - 1 / seen.shape[1]).abs().sum(1).mean().item() / 2


def _spearman(a: Float[Tensor, " N"], b: Float[Tensor, " N"]) -> Float[Tensor, ""]:
    """Pearson's correlation of ranks; equal values share their mean rank."""
    return torch.corrcoef(torch.stack([_ranks(a), _ranks(b)]))[0, 1]


def _ranks(values: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    _, place, count = values.unique(return_inverse=True, return_counts=True)
    last = count.cumsum(0)
    return (last - (count - 1) / 2)[place]


def _common(seen: Float[Tensor, "B N"], draws: int) -> float:
    """Variance of the mean pattern over the mean variance of each body's, sampling noise taken out of both."""
    noise = (seen * (1 - seen)).mean(1) / max(draws - 1, 1)
    each = (seen.var(1, correction=0) - noise).mean()
    together = seen.mean(0).var(correction=0) - noise.mean() / len(seen)
    return (together.clamp(min=0) / each).item() if each > 0 else float("nan")
