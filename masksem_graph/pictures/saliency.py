"""Where a clip differs from the average motion, and what smoothing makes of that: maps of nodes, and skeletons over time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure

from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch
from masksem_graph.operators import Identity, Operator
from masksem_graph.pictures.canvas import SHARES, draw_map, draw_strip, moving_picture, shaded, strip_shape
from masksem_graph.pictures.clip import ShownClip
from masksem_graph.pictures.picture import Picture
from masksem_graph.pictures.tasks import operator_name, scored
from masksem_graph.report.names import drawn
from masksem_graph.report.skeleton import topology_title
from masksem_graph.tasks.pretrain import Pretrain
from masksem_graph.topology import Topology

UNIT = "saliency, share of {} largest"
WIDTH = 9.0
Values = Float[np.ndarray, "B Te V"]
"""One a node, in [0, 1]."""


def saliency(task: Pretrain, clip: ShownClip) -> Values:
    """The semantic scores that masks follow: smoothed by the run's operator, divided by the largest."""
    return as_share(task.scores.after_smoothing(task.operator(raw_saliency(task, clip), clip.batch)).cpu().numpy())


@torch.no_grad()
def raw_saliency(task: Pretrain, clip: ShownClip) -> Float[torch.Tensor, "B Te V"]:
    """The scores before they are smoothed."""
    return scored(task, clip)


def as_share(values: Values, largest: float | None = None) -> Values:
    """Divided by the largest, their own or another; zeros stay."""
    return values / max(float(values.max()) if largest is None else largest, 1e-30)


def before_and_after(task: Pretrain, eta: Float[torch.Tensor, "B Te V"], clip: ShownClip) -> dict[str, Values]:
    """Scores before and after a task's own operator, each divided by its largest."""
    smooth = {} if isinstance(task.operator, Identity) else {operator_name(task.operator): task.operator(eta, clip.batch)}
    both = {"none": eta, **smooth}
    return {name: as_share(task.scores.after_smoothing(values).cpu().numpy()) for name, values in both.items()}


def smoothed(
    eta: Float[torch.Tensor, "B Te V"],
    joints: Sequence[str],
    topology: Topology,
    operators: Mapping[str, Operator],
    finish: Callable[[Any], Any],
    *,
    shared: bool = False,
) -> dict[str, Values]:
    """Scores smoothed by each operator, by its name, and given to ``finish``, as shares of the largest.

    The operators are made of a topology with the same joints in any order, else ``InputError``. ``shared``: of the largest of
    all operators, so that amplitudes compare; else of each operator's own, as masks see them.
    """
    if odd := sorted(set(joints) ^ set(topology.joints)):
        raise InputError(
            f"--topology: {topology.name} does not fit the run: {odd[0]!r} is a joint of only one of them; "
            f"expected the run's {len(joints)} joints"
        )
    to, back = [list(joints).index(j) for j in topology.joints], [topology.index[j] for j in joints]
    nothing = torch.zeros(len(eta), eta.shape[1], len(topology.inputs), 1)
    batch, given = SkeletonBatch.from_frames(nothing, topology=topology, segment=1), eta.cpu()[..., to]
    out = {name: finish(operator(given, batch))[..., back].numpy() for name, operator in operators.items()}
    largest = max(float(values.max()) for values in out.values()) if shared else None
    return {name: as_share(values, largest) for name, values in out.items()}


def saliency_pictures(clip: ShownClip, values: Values, *, smoothing: str = "", moving: bool = True) -> list[Picture]:
    """A strip of skeletons over a map of all nodes, and the same on the moving skeleton; the title names the ``smoothing``."""
    told, unit = f"smoothed by {smoothing}" if smoothing else "", UNIT.format("the clip's")
    pictures = [Picture("saliency", saliency_figure(clip, values, title=f"{clip.title}\n{drawn(told)}".strip()))]
    if moving:
        pictures.append(moving_picture("saliency", clip, {told: shaded(values, 70)}, unit=unit))
    return pictures


def saliency_figure(clip: ShownClip, values: Values, *, title: str = "") -> Figure:
    """A strip of skeletons over a map of all nodes, one for each body."""
    bodies, _, joints = values.shape
    strip, one = min(0.86 * WIDTH / strip_shape(clip), 4.0), 0.16 * joints + 0.4
    figure = Figure(figsize=(WIDTH, strip + bodies * one + 1.4), layout="constrained")
    top, *maps = figure.subplots(1 + bodies, 1, height_ratios=[strip, *[one] * bodies])
    draw_strip(top, clip, shaded(values, min(42, 18 * strip)))
    top.set_title(title or clip.title, fontsize=11)
    for axes, own, name in zip(maps, values, clip.bodies, strict=True):
        image = draw_map(axes, clip, own, norm=SHARES)
        axes.set_ylabel(name, fontsize=9)
    figure.colorbar(image, ax=[top, *maps], label=UNIT.format("the clip's"), shrink=0.6, aspect=30)
    return figure


def smoothing_pictures(
    clip: ShownClip,
    values: Mapping[str, Values],
    *,
    topology: Topology | None = None,
    shared: bool = False,
    moving: bool = True,
) -> list[Picture]:
    """A clip's saliency under each operator: a row an operator, and side by side on the moving skeleton.

    The bones are those of the topology that the operators were made of. ``shared``: the rows are shares of one largest value.
    """
    clip, unit = replace(clip, compared=topology), UNIT.format("each row's")
    unit = "saliency, share of the largest of all" if shared else unit
    panels = {"none (before)" if name == "none" else name: own for name, own in values.items()}
    pictures = [Picture("smoothing_saliency", _rows_figure(clip, panels, unit))]
    if moving:
        paints = {name: shaded(own, 36) for name, own in panels.items()}
        pictures.append(moving_picture("smoothing_saliency", clip, paints, unit=unit))
    return pictures


def _rows_figure(clip: ShownClip, values: Mapping[str, Values], unit: str) -> Figure:
    """A row for each operator: the map of each body's nodes, and a strip of skeletons."""
    strip, bodies = 5.6, clip.bodies
    row = min(max(strip / strip_shape(clip), 1.0), 1.8)
    figure = Figure(figsize=(1.1 + 2.3 * len(bodies) + strip + 0.9, row * len(values) + 1.5), layout="constrained")
    cells = figure.subplots(len(values), len(bodies) + 1, squeeze=False, width_ratios=(*(2.3 for _ in bodies), strip))
    for (*maps, right), (name, own) in zip(cells, values.items(), strict=True):
        first, last = maps[0] is cells[0][0], maps[0] is cells[-1][0]
        for body, axes in enumerate(maps):
            image = draw_map(axes, clip, own[body], norm=SHARES, names="none" if body else "parts", clock=first)
            if first and bodies[body]:
                axes.set_title(bodies[body], fontsize=9)
            if not last:
                axes.set(xlabel="", xticklabels=[])
        maps[0].set_ylabel(drawn(name).replace(", ", ",\n"), fontsize=9)
        draw_strip(right, clip, shaded(own, 30), labels=last)
    title = topology_title(clip.bones)
    if clip.compared is not None and clip.links:
        title = f"{drawn(clip.bones.name)}: {len(clip.bones)} joints, {len(clip.bones.bones)} bones"
        title += f", {len(clip.links)} of them not in the run's (dashed)"
    figure.suptitle(f"{clip.title}\n{title}", fontsize=10)
    figure.colorbar(image, ax=cells, label=unit, shrink=min(0.9, 3 / row / len(values) + 0.25), aspect=30)
    return figure
