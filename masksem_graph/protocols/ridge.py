"""A ridge classifier in closed form: what a linear read-out of fixed features reaches, in seconds and without a recipe."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

ALPHAS = tuple(10.0**k for k in range(-3, 8))
"""Penalties to choose from, for standardised features."""


def ridge_scores(
    train: Float[Tensor, "train P"], labels: Int64[Tensor, " train"], test: Float[Tensor, "test P"], *, classes: int
) -> Float[Tensor, "test classes"]:
    """Scores of one-against-all ridge regression on standardised features.

    Targets are 1 for a clip's own class and -1 for the others. The penalty is the one of `ALPHAS` with the smallest squared
    leave-one-out error on the training clips, which has a closed form; nothing is chosen on test clips.
    """
    mean, std = train.double().mean(0), train.double().std(0, correction=0)
    std = torch.where(std > 1e-9, std, torch.ones_like(std))
    x, z = ((values.double() - mean) / std for values in (train, test))
    y = torch.full((len(x), classes), -1.0, dtype=torch.float64, device=x.device)
    y[torch.arange(len(x), device=x.device), labels] = 1.0
    offset = y.mean(0)
    u, s, v = _svd(x)
    projected = u.T @ (y - offset)
    errors = [_leave_one_out(u, s, projected, y - offset, alpha) for alpha in ALPHAS]
    alpha = ALPHAS[int(torch.stack(errors).argmin())]
    weights = v @ (projected * (s / (s.square() + alpha))[:, None])
    return (z @ weights + offset).float()


def _svd(x: Float[Tensor, "n P"]) -> tuple[Float[Tensor, "n r"], Float[Tensor, " r"], Float[Tensor, "P r"]]:
    """The thin singular value decomposition, through the smaller Gram matrix; directions without variance are left out."""
    wide = x.shape[1] > x.shape[0]
    values, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
    kept = values > 1e-10 * values.amax().clamp(min=1e-30)
    s, vectors = values[kept].sqrt(), vectors[:, kept]
    return (vectors, s, x.T @ vectors / s) if wide else (x @ vectors / s, s, vectors)


def _leave_one_out(
    u: Float[Tensor, "n r"],
    s: Float[Tensor, " r"],
    projected: Float[Tensor, "r classes"],
    y: Float[Tensor, "n classes"],
    alpha: float,
) -> Float[Tensor, ""]:
    """Mean squared error at each clip of the fit without it: the residual over one less the clip's leverage."""
    shrunk = s.square() / (s.square() + alpha)
    leverage = (u.square() * shrunk).sum(1) + 1 / len(u)
    return ((y - u @ (projected * shrunk[:, None])) / (1 - leverage).clamp(min=1e-9)[:, None]).square().mean()
