"""Floors: what the same clips give without any pre-training. A figure of an encoder means what it has above them."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from rich.progress import Progress
from torch import Tensor

from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.graph import SkeletonBatch
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.pool import ReadOut
from masksem_graph.protocols.base import ENCODE_BATCH, POOLS, Evaluation, Outcome, Protocol
from masksem_graph.protocols.ridge import ridge_scores
from masksem_graph.seeding import Purpose, keyed_generator

FRAMES = 50
"""About as many frames as clips are resampled to; the next multiple of the encoder's segment."""

KERNELS = 600
"""Random temporal convolutions; each gives two numbers."""


class Floors(Protocol):
    """Raw coordinates, random temporal convolutions and the untrained encoder, each with a ridge classifier.

    The encoder itself is read out in the same way beside them. All in closed form, from the same splits and view frame.

    Args:
        kernels: random convolutions (after ROCKET; Dempster et al., DMKD 2020).
    """

    def __init__(self, *, kernels: int = KERNELS) -> None:
        self.kernels = kernels

    def run(self, evaluation: Evaluation, *, seed: int, progress: Progress) -> Outcome:
        bar = progress.add_task("floors", total=1 + len(POOLS), note="")
        figures, scores = floors(evaluation, seed=seed, kernels=self.kernels)
        for pool in POOLS:
            progress.advance(bar)
            scores[f"encoder_{pool}"] = ridge(evaluation, _encodes(evaluation, evaluation.encoder, pool))
            figures[f"encoder_{pool}"] = accuracy(evaluation, scores[f"encoder_{pool}"])
        progress.advance(bar)
        return Outcome(scores=scores["encoder_joints"], figures={"floors": figures})


def floors(
    evaluation: Evaluation, *, seed: int = 0, kernels: int = KERNELS
) -> tuple[dict[str, float], dict[str, Float[Tensor, "test classes"]]]:
    """Top-1 accuracy in per cent, and the scores, of each floor.

    Args:
        evaluation: gives clips, labels and the encoder whose untrained twin is a floor.
        seed: of the convolutions and of the untrained weights.
        kernels: random convolutions.

    Returns:
        ``raw``, ``convolutions``, ``untrained_mean`` and ``untrained_joints``.
    """
    series = {part: _series(evaluation, clips) for part, clips in (("train", evaluation.train), ("test", evaluation.test))}
    convolutions = RandomConvolutions(series["train"], kernels=kernels, seed=seed)
    labels, classes = evaluation.labels(evaluation.train), len(evaluation.classes)
    scores = {
        "raw": ridge_scores(series["train"].flatten(1), labels, series["test"].flatten(1), classes=classes),
        "convolutions": ridge_scores(convolutions(series["train"]), labels, convolutions(series["test"]), classes=classes),
    }
    if evaluation.untrained is not None:
        fresh = evaluation.untrained(seed).to(evaluation.source.device).eval()
        for pool in POOLS:
            scores[f"untrained_{pool}"] = ridge(evaluation, _encodes(evaluation, fresh, pool))
    return {name: accuracy(evaluation, found) for name, found in scores.items()}, scores


def _encodes(evaluation: Evaluation, encoder: SkeletonEncoder, pool: ReadOut) -> Callable[[Tensor], Tensor]:
    return lambda clips: evaluation.encode(evaluation.central(clips), pool=pool, encoder=encoder)


def ridge(evaluation: Evaluation, features: Callable[[Int64[Tensor, " S"]], Tensor]) -> Float[Tensor, "test classes"]:
    """Scores of a ridge classifier on features of clips."""
    train, test = features(evaluation.train), features(evaluation.test)
    return ridge_scores(train, evaluation.labels(evaluation.train), test, classes=len(evaluation.classes))


def accuracy(evaluation: Evaluation, scores: Float[Tensor, "test classes"]) -> float:
    """Top-1 accuracy in per cent."""
    return 100 * (scores.argmax(1) == evaluation.labels(evaluation.test)).float().mean().item()


def _series(evaluation: Evaluation, clips: Int64[Tensor, " S"]) -> Float[Tensor, "S channels T"]:
    """Coordinates over time of the central share of clips, bodies one after the other; absent ones are zero."""
    source = evaluation.source
    frames = source.segment * -(-FRAMES // source.segment)
    loader = source.resized(frames)
    out = []
    for part in clips.split(ENCODE_BATCH):
        batch = loader.load(loader.plan(evaluation.central(part)))
        out.append(_by_sequence(batch, loader))
    return torch.cat(out)


def _by_sequence(batch: SkeletonBatch, loader: SkeletonLoader) -> Float[Tensor, "S channels T"]:
    bodies, frames, joints, channels = batch.frames.shape
    first = torch.searchsorted(batch.sequence, batch.sequence)
    slot = torch.arange(bodies, device=first.device) - first
    out = batch.frames.new_zeros(batch.num_sequences, loader.max_bodies, joints * channels, frames)
    out[batch.sequence, slot] = batch.frames.flatten(2).transpose(1, 2)
    return out.flatten(1, 2)


class RandomConvolutions:
    """Random temporal convolutions of a multivariate series, each as its share of positive outputs and its maximum.

    Lengths 7, 9 or 11, weights normal and centred, biases uniform in (-1, 1), dilations exponential, up to 11 channels each;
    nothing is learned but the mean and deviation of each channel (ROCKET; Dempster et al., DMKD 2020, section 3).

    Args:
        train: the series whose channels are standardised to zero mean and unit variance.
        kernels: how many.
        seed: all of it follows from this.
    """

    def __init__(self, train: Float[Tensor, "S channels T"], *, kernels: int, seed: int) -> None:
        channels, frames = train.shape[1:]
        self.mean = train.mean((0, 2), keepdim=True)
        self.std = train.std((0, 2), keepdim=True).clamp(min=1e-6)
        draw = keyed_generator(seed, Purpose.FLOORS)
        self.kernels = []
        for _ in range(kernels):
            length = (7, 9, 11)[int(torch.randint(3, (), generator=draw))]
            length = min(length, frames)
            most = min(channels, length)
            count = min(int(2 ** (torch.rand((), generator=draw) * torch.tensor(most + 1.0).log2())), most)
            chosen = torch.randperm(channels, generator=draw)[: max(count, 1)]
            weights = torch.randn(1, len(chosen), length, generator=draw)
            weights = weights - weights.mean(-1, keepdim=True)
            bias = torch.rand(1, generator=draw) * 2 - 1
            reach = torch.tensor((frames - 1) / max(length - 1, 1)).log2().clamp(min=0)
            dilation = int(2 ** (torch.rand((), generator=draw) * reach))
            padding = (length - 1) * dilation // 2 if torch.rand((), generator=draw) < 0.5 else 0
            self.kernels.append((chosen, weights, bias, dilation, padding))

    def __call__(self, series: Float[Tensor, "S channels T"]) -> Float[Tensor, "S features"]:
        """Two numbers a kernel."""
        series = (series - self.mean) / self.std
        out = []
        for chosen, weights, bias, dilation, padding in self.kernels:
            seen, weights, bias = series[:, chosen.to(series.device)], weights.to(series.device), bias.to(series.device)
            found = F.conv1d(seen, weights, bias, dilation=dilation, padding=padding)[:, 0]
            out += [(found > 0).float().mean(1), found.amax(1)]
        return torch.stack(out, 1)
