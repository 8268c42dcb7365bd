"""Floors: what the same clips give without any pre-training. A figure of an encoder means what it has above them."""

from typing import get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from rich.progress import Progress
from torch import Tensor

from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.pool import ReadOut
from masksem_graph.protocols.base import ENCODE_BATCH, Evaluation, Outcome, Protocol
from masksem_graph.seeding import Purpose, keyed_generator

FRAMES = 50  # about as many as clips are resampled to; the next multiple of the encoder's segment
KERNELS = 600  # random temporal convolutions; each gives two numbers
ALPHAS = tuple(10.0**k for k in range(-3, 8))  # penalties of the ridge to choose from, for standardised features


class Floors(Protocol):
    """Raw coordinates, random temporal convolutions and the untrained encoder, each with a ridge classifier.

    The encoder itself is read out in the same way beside them. All in closed form, from the same splits and view frame.

    Args:
        kernels: random convolutions (after ROCKET; Dempster et al., DMKD 2020).
    """

    def __init__(self, *, kernels: int = KERNELS) -> None:
        self.kernels = kernels

    def run(self, evaluation: Evaluation, *, seed: int, progress: Progress) -> Outcome:
        bar = progress.add_task("floors", total=2, note="")
        scores = floors(evaluation, seed=seed, kernels=self.kernels)
        progress.advance(bar)
        scores |= _encoded(evaluation, evaluation.encoder, "encoder")
        progress.advance(bar)
        figures = {name: evaluation.accuracy(found) for name, found in scores.items()}
        return Outcome(scores=scores["encoder_joints"], figures={"floors": figures})


def floors(evaluation: Evaluation, *, seed: int = 0, kernels: int = KERNELS) -> dict[str, Float[Tensor, "test classes"]]:
    """Scores of each floor: ``raw``, ``convolutions``, ``untrained_mean`` and ``untrained_joints``.

    ``seed`` is of the convolutions and of the untrained weights.
    """
    train, test = _series(evaluation, evaluation.train), _series(evaluation, evaluation.test)
    convolutions = RandomConvolutions(train, kernels=kernels, seed=seed)
    scores = {
        "raw": _ridge(evaluation, train.flatten(1), test.flatten(1)),
        "convolutions": _ridge(evaluation, convolutions(train), convolutions(test)),
    }
    if evaluation.untrained is not None:
        scores |= _encoded(evaluation, evaluation.untrained(seed).to(evaluation.source.device), "untrained")
    return scores


def _encoded(evaluation: Evaluation, encoder: SkeletonEncoder, name: str) -> dict[str, Float[Tensor, "test classes"]]:
    """Scores from an encoder's features, in both pools."""
    scores, views = {}, [evaluation.central(clips) for clips in (evaluation.train, evaluation.test)]
    for pool in get_args(ReadOut):
        train, test = (evaluation.encode(view, pool=pool, encoder=encoder) for view in views)
        scores[f"{name}_{pool}"] = _ridge(evaluation, train, test)
    return scores


def _ridge(
    evaluation: Evaluation, train: Float[Tensor, "train P"], test: Float[Tensor, "test P"]
) -> Float[Tensor, "test classes"]:
    return ridge_scores(train, evaluation.labels(evaluation.train), test, classes=len(evaluation.classes))


def _series(evaluation: Evaluation, clips: Int64[Tensor, " S"]) -> Float[Tensor, "S channels T"]:
    """Coordinates over time of the central share of clips, bodies one after the other; absent ones are zero."""
    source = evaluation.source
    loader = source.resized(source.segment * -(-FRAMES // source.segment))
    series = []
    for part in clips.split(ENCODE_BATCH):
        batch = loader.load(loader.plan(evaluation.central(part)))
        slot = torch.arange(batch.num_bodies, device=loader.device) - torch.searchsorted(batch.sequence, batch.sequence)
        frames = batch.frames.flatten(2).transpose(1, 2)
        out = frames.new_zeros(batch.num_sequences, loader.max_bodies, *frames.shape[1:])
        out[batch.sequence, slot] = frames
        series.append(out.flatten(1, 2))
    return torch.cat(series)


class RandomConvolutions:
    """Random temporal convolutions of a multivariate series, each as its share of positive outputs and its maximum.

    Lengths 7, 9 or 11, weights normal and centred, biases uniform in (-1, 1), dilations exponential, up to 11 channels each;
    nothing is learned but the mean and deviation of each channel (ROCKET; Dempster et al., DMKD 2020, section 3).
    """

    def __init__(self, train: Float[Tensor, "S channels T"], *, kernels: int, seed: int) -> None:
        self.mean = train.mean((0, 2), keepdim=True)
        self.std = train.std((0, 2), keepdim=True).clamp(min=1e-6)
        draw = keyed_generator(seed, Purpose.FLOORS)
        self.kernels = [self._kernel(draw, *train.shape[1:]) for _ in range(kernels)]

    @staticmethod
    def _kernel(draw: torch.Generator, channels: int, frames: int) -> tuple[Tensor, Tensor, Tensor, int, int]:
        """Channels, weights, bias, dilation and padding."""
        length = min((7, 9, 11)[int(torch.randint(3, (), generator=draw))], frames)
        most = min(channels, length)
        count = min(int(2 ** (torch.rand((), generator=draw) * torch.tensor(most + 1.0).log2())), most)
        chosen = torch.randperm(channels, generator=draw)[: max(count, 1)]
        weights = torch.randn(1, len(chosen), length, generator=draw)
        weights = weights - weights.mean(-1, keepdim=True)
        bias = torch.rand(1, generator=draw) * 2 - 1
        reach = torch.tensor((frames - 1) / max(length - 1, 1)).log2().clamp(min=0)
        dilation = int(2 ** (torch.rand((), generator=draw) * reach))
        padding = (length - 1) * dilation // 2 if torch.rand((), generator=draw) < 0.5 else 0
        return chosen, weights, bias, dilation, padding

    def __call__(self, series: Float[Tensor, "S channels T"]) -> Float[Tensor, "S features"]:
        """Two numbers a kernel."""
        series, out = (series - self.mean) / self.std, []
        for chosen, weights, bias, dilation, padding in self.kernels:
            seen, weights, bias = series[:, chosen.to(series.device)], weights.to(series.device), bias.to(series.device)
            found = F.conv1d(seen, weights, bias, dilation=dilation, padding=padding)[:, 0]
            out += [(found > 0).float().mean(1), found.amax(1)]
        return torch.stack(out, 1)


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
