"""Where a clip differs from the average motion: on a map of joints and segments, and on the skeleton over time."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from masksem_graph.pictures.canvas import body_names, draw_map, draw_strip, motion_figure, shaded, strip_shape
from masksem_graph.pictures.clip import ShownClip
from masksem_graph.pictures.picture import Picture
from masksem_graph.pictures.tasks import scored
from masksem_graph.report.names import drawn
from masksem_graph.tasks.pretrain import Pretrain

UNIT = "saliency, share of the clip's largest"
NORM = Normalize(0, 1)


def saliency(task: Pretrain, clip: ShownClip) -> Float[np.ndarray, "B Te V"]:
    """The scores that masks follow: smoothed by the run's operator, divided by the largest.

    Args:
        task: with semantic scores.
        clip: what to score.
    """
    eta = raw_saliency(task, clip)
    return as_share(task.scores.after_smoothing(task.operator(eta, clip.batch)).cpu().numpy())


@torch.no_grad()
def raw_saliency(task: Pretrain, clip: ShownClip) -> Float[torch.Tensor, "B Te V"]:
    """The scores before they are smoothed."""
    return scored(task, clip)


def as_share(values: Float[np.ndarray, "B Te V"], largest: float | None = None) -> Float[np.ndarray, "B Te V"]:
    """Divided by the largest, their own or another; zeros stay."""
    return values / max(float(values.max()) if largest is None else largest, 1e-30)


def saliency_pictures(
    clip: ShownClip, values: Float[np.ndarray, "B Te V"], *, smoothing: str = "", moving: bool = True
) -> list[Picture]:
    """A strip of skeletons over a map of all nodes, and the same on the moving skeleton.

    Args:
        clip: the clip.
        values: of its nodes, in [0, 1].
        smoothing: what they were smoothed by, for the title.
        moving: also make the animation.
    """
    told = f"smoothed by {smoothing}" if smoothing else ""
    pictures = [Picture("saliency", saliency_figure(clip, values, title=f"{clip.title}\n{drawn(told)}".strip()))]
    if moving:
        figure, motion = motion_figure(clip, {told: shaded(values, NORM, 70)}, title=clip.title, colours=(NORM, UNIT))
        pictures.append(Picture("saliency", figure, motion))
    return pictures


def saliency_figure(clip: ShownClip, values: Float[np.ndarray, "B Te V"], *, title: str = "") -> Figure:
    """A strip of skeletons over a map of all nodes, one for each body."""
    bodies, _, joints = values.shape
    width = 9.0
    strip, one = min(0.86 * width / strip_shape(clip), 4.0), 0.16 * joints + 0.4
    figure = Figure(figsize=(width, strip + bodies * one + 1.4), layout="constrained")
    top, *maps = figure.subplots(1 + bodies, 1, height_ratios=[strip, *[one] * bodies])
    draw_strip(top, clip, shaded(values, NORM, size=min(42, 18 * strip)))
    top.set_title(title or clip.title, fontsize=11)
    for axes, own, name in zip(maps, values, body_names(clip), strict=True):
        image = draw_map(axes, clip, own, norm=NORM)
        axes.set_ylabel(name, fontsize=9)
    figure.colorbar(image, ax=[top, *maps], label=UNIT, shrink=0.6, aspect=30)
    return figure
