"""Where a clip differs from the average motion: on a map of joints and segments, and on the skeleton over time."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from masksem_graph.pictures.canvas import (
    COLOURS,
    EDGE,
    bone_lines,
    centred_places,
    draw_bones,
    draw_map,
    draw_strip,
    node_sizes,
    say_when,
    shaded,
    strip_shape,
)
from masksem_graph.pictures.clip import ShownClip
from masksem_graph.pictures.picture import Motion, Picture, shown_frames
from masksem_graph.pictures.tasks import by_itself
from masksem_graph.tasks.pretrain import Pretrain

UNIT = "saliency, share of the clip's largest"


def saliency(task: Pretrain, clip: ShownClip) -> Float[np.ndarray, "B Te V"]:
    """The scores that masks follow: smoothed by the run's operator, divided by the largest.

    Args:
        task: with semantic scores.
        clip: what to score.
    """
    eta = raw_saliency(task, clip)
    return as_share(task.scores.after_smoothing(task.operator(eta)).cpu().numpy())


@torch.no_grad()
def raw_saliency(task: Pretrain, clip: ShownClip) -> Float[torch.Tensor, "B Te V"]:
    """The scores before they are smoothed."""
    return task.score(clip.batch, by_itself(task, clip))


def as_share(values: Float[np.ndarray, "B Te V"]) -> Float[np.ndarray, "B Te V"]:
    """Divided by the largest; zeros stay."""
    return values / max(float(values.max()), 1e-30)


def saliency_pictures(clip: ShownClip, values: Float[np.ndarray, "B Te V"], *, moving: bool = True) -> list[Picture]:
    """A strip of skeletons over a map of all nodes, and the same on the moving skeleton.

    Args:
        clip: the clip.
        values: of its nodes, in [0, 1].
        moving: also make the animation.
    """
    pictures = [Picture("saliency", saliency_figure(clip, values))]
    return pictures + ([Picture("saliency", *saliency_motion(clip, values))] if moving else [])


def saliency_figure(clip: ShownClip, values: Float[np.ndarray, "B Te V"]) -> Figure:
    """A strip of skeletons over a map of all nodes, one for each body."""
    norm = Normalize(0, 1)
    bodies, _, joints = values.shape
    width = 9.0
    strip, one = min(0.86 * width / strip_shape(clip), 4.0), 0.16 * joints + 0.4
    figure = Figure(figsize=(width, strip + bodies * one + 1.4), layout="constrained")
    top, *maps = figure.subplots(1 + bodies, 1, height_ratios=[strip, *[one] * bodies])
    draw_strip(top, clip, shaded(values, norm, size=min(42, 18 * strip)))
    top.set_title(clip.title, fontsize=11)
    for body, axes in enumerate(maps):
        image = draw_map(axes, clip, values[body], norm=norm)
        if bodies > 1:
            axes.set_ylabel(f"body {body + 1}", fontsize=9)
    figure.colorbar(image, ax=[top, *maps], label=UNIT, shrink=0.6, aspect=30)
    return figure


def saliency_motion(clip: ShownClip, values: Float[np.ndarray, "B Te V"]) -> tuple[Figure, Motion]:
    """The moving skeleton, its joints as dark and big as they are salient."""
    norm = Normalize(0, 1)
    figure = Figure(figsize=(4.2, 4.4))
    axes = figure.add_axes((0.02, 0.02, 0.74, 0.88))
    places, low, high = centred_places(clip)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axes.set_axis_off()
    bones = [draw_bones(axes, clip.topology, body[0]) for body in places]
    nodes = [
        axes.scatter(body[0, :, 0], body[0, :, 1], c=np.zeros(body.shape[1]), norm=norm, cmap=COLOURS, **EDGE)
        for body in places
    ]
    figure.colorbar(nodes[0], cax=figure.add_axes((0.8, 0.15, 0.035, 0.6)), label=UNIT)
    figure.text(0.02, 0.95, clip.title, fontsize=10)
    when = figure.text(0.98, 0.9, "", fontsize=9, ha="right")

    def update(frame: int) -> None:
        own = values[:, frame // clip.segment]
        for body, (lines, marks) in enumerate(zip(bones, nodes, strict=True)):
            lines.set_segments(bone_lines(clip.topology, places[body, frame]))
            marks.set_offsets(places[body, frame])
            marks.set_array(own[body])
            marks.set_sizes(node_sizes(own[body], norm, 70))
        when.set_text(say_when(clip, frame))

    return figure, Motion(shown_frames(clip.frames), update)
