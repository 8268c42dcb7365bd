"""What smoothing makes of a clip's saliency: several operators below each other, on maps and on the skeleton over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from masksem_graph.errors import InputError
from masksem_graph.operators import Identity, OperatorFactory
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
from masksem_graph.pictures.saliency import UNIT, as_share
from masksem_graph.tasks.pretrain import Pretrain
from masksem_graph.topology import Topology

COLUMNS = 4


def smoothed(
    eta: Float[torch.Tensor, "B Te V"],
    joints: Sequence[str],
    topology: Topology,
    operators: Mapping[str, OperatorFactory],
    finish: Callable[[Any], Any],
) -> dict[str, Float[np.ndarray, "B Te V"]]:
    """Scores smoothed by each operator, divided by the largest.

    Args:
        eta: the scores before.
        joints: of its last axis.
        topology: what the operators are made of, with the same joints in any order.
        operators: by what they are called.
        finish: what is done to smoothed scores.

    Raises:
        InputError: the topology has other joints.
    """
    if set(joints) != set(topology.joints):
        odd = sorted(set(joints) ^ set(topology.joints))
        raise InputError(
            f"--topology: {topology.name} does not fit the run: {odd[0]!r} is a joint of only one of them; "
            f"expected the run's {len(joints)} joints"
        )
    to, back = [list(joints).index(j) for j in topology.joints], [topology.index[j] for j in joints]
    out = {}
    for name, factory in operators.items():
        operator = factory(topology=topology, segments=eta.shape[1])
        out[name] = as_share(finish(operator(eta.cpu()[..., to]))[..., back].numpy())
    return out


def before_and_after(task: Pretrain, eta: Float[torch.Tensor, "B Te V"]) -> dict[str, Float[np.ndarray, "B Te V"]]:
    """Scores before and after a task's own operator, divided by the largest."""
    smooth = {} if isinstance(task.operator, Identity) else {type(task.operator).__name__: task.operator(eta)}
    both = {"none": eta, **smooth}
    return {name: as_share(task.scores.after_smoothing(values).cpu().numpy()) for name, values in both.items()}


def saliency_pictures(
    clip: ShownClip, values: Mapping[str, Float[np.ndarray, "B Te V"]], *, moving: bool = True
) -> list[Picture]:
    """A clip's saliency under each operator: a row an operator, and side by side on the moving skeleton.

    Args:
        clip: the clip.
        values: of its nodes by operator, in [0, 1].
        moving: also make the animation.
    """
    pictures = [Picture("smoothing_saliency", saliency_figure(clip, values))]
    return pictures + ([Picture("smoothing_saliency", *saliency_motion(clip, values))] if moving else [])


def saliency_figure(clip: ShownClip, values: Mapping[str, Float[np.ndarray, "B Te V"]]) -> Figure:
    """A row for each operator: the map of the first body's nodes, and a strip of skeletons."""
    norm = Normalize(0, 1)
    strip = 5.6
    row = min(max(strip / strip_shape(clip), 1.0), 1.8)
    figure = Figure(figsize=(3.4 + strip + 0.9, row * len(values) + 1.2), layout="constrained")
    cells = figure.subplots(len(values), 2, squeeze=False, width_ratios=(2.3, strip))
    for (left, right), (name, own) in zip(cells, values.items(), strict=True):
        image = draw_map(left, clip, own[0], norm=norm, names="parts", clock=left is cells[0][0])
        left.set_ylabel("none (before)" if name == "none" else name.replace(", ", ",\n"), fontsize=9)
        if left is not cells[-1][0]:
            left.set_xlabel("")
            left.set_xticklabels([])
        draw_strip(right, clip, shaded(own, norm, 30), labels=left is cells[-1][0])
    cells[0][1].set_title(clip.title, fontsize=11)
    if len(clip.coordinates) > 1:
        cells[-1][0].set_xlabel(f"{cells[-1][0].get_xlabel()}, body 1", fontsize=9)
    figure.colorbar(image, ax=cells, label=UNIT, shrink=min(0.9, 3 / row / len(values) + 0.25), aspect=30)
    return figure


def saliency_motion(clip: ShownClip, values: Mapping[str, Float[np.ndarray, "B Te V"]]) -> tuple[Figure, Motion]:
    """The moving skeleton under each operator."""
    norm = Normalize(0, 1)
    columns = min(len(values), COLUMNS)
    rows = -(-len(values) // columns)
    figure = Figure(figsize=(2.0 * columns + 0.9, 2.5 * rows + 0.4))
    cells = list(figure.subplots(rows, columns, squeeze=False).ravel())
    figure.subplots_adjust(0.01, 0.01, 1 - 0.9 / figure.get_figwidth(), 1 - 0.65 / figure.get_figheight(), 0.02, 0.12)
    places, low, high = centred_places(clip)
    drawn = []
    for axes in cells:
        axes.set_axis_off()
    for axes, (name, own) in zip(cells, values.items(), strict=False):
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        axes.set_title("none (before)" if name == "none" else name, fontsize=8)
        for body, there in enumerate(places):
            lines = draw_bones(axes, clip.topology, there[0])
            marks = axes.scatter(there[0, :, 0], there[0, :, 1], c=np.zeros(there.shape[1]), norm=norm, cmap=COLOURS, **EDGE)
            drawn.append((body, own[body], lines, marks))
    bar = figure.add_axes((1 - 0.72 / figure.get_figwidth(), 0.2, 0.13 / figure.get_figwidth(), 0.6))
    figure.colorbar(drawn[0][3], cax=bar, label=UNIT)
    figure.text(0.01, 1 - 0.22 / figure.get_figheight(), clip.title, fontsize=9)
    when = figure.text(0.99, 1 - 0.22 / figure.get_figheight(), "", fontsize=9, ha="right")

    def update(frame: int) -> None:
        for body, own, lines, marks in drawn:
            now = own[frame // clip.segment]
            lines.set_segments(bone_lines(clip.topology, places[body, frame]))
            marks.set_offsets(places[body, frame])
            marks.set_array(now)
            marks.set_sizes(node_sizes(now, norm, 36))
        when.set_text(say_when(clip, frame))

    return figure, Motion(shown_frames(clip.frames), update)
