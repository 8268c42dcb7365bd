"""What smoothing makes of a clip's saliency: several operators below each other, on maps and on the skeleton over time."""

from __future__ import annotations

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
from masksem_graph.pictures.canvas import body_names, draw_map, draw_strip, motion_figure, shaded, strip_shape
from masksem_graph.pictures.clip import ShownClip
from masksem_graph.pictures.picture import Picture
from masksem_graph.pictures.saliency import NORM, UNIT, as_share
from masksem_graph.pictures.tasks import operator_name
from masksem_graph.report.names import drawn
from masksem_graph.report.skeleton import topology_title
from masksem_graph.tasks.pretrain import Pretrain
from masksem_graph.topology import Topology


def smoothed(
    eta: Float[torch.Tensor, "B Te V"],
    joints: Sequence[str],
    topology: Topology,
    operators: Mapping[str, Operator],
    finish: Callable[[Any], Any],
    *,
    shared: bool = False,
) -> dict[str, Float[np.ndarray, "B Te V"]]:
    """Scores smoothed by each operator, as shares of the largest.

    Args:
        eta: the scores before.
        joints: of its last axis.
        topology: what the operators are made of, with the same joints in any order.
        operators: by what they are called.
        finish: what is done to smoothed scores.
        shared: of the largest of all operators, so that amplitudes compare; else of each operator's own, as masks see them.

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
    nothing = torch.zeros(len(eta), eta.shape[1], len(topology.inputs), 1)
    batch = SkeletonBatch.from_frames(nothing, topology=topology, segment=1)
    for name, operator in operators.items():
        out[name] = finish(operator(eta.cpu()[..., to], batch))[..., back].numpy()
    largest = max(float(values.max()) for values in out.values()) if shared else None
    return {name: as_share(values, largest) for name, values in out.items()}


def before_and_after(
    task: Pretrain, eta: Float[torch.Tensor, "B Te V"], clip: ShownClip
) -> dict[str, Float[np.ndarray, "B Te V"]]:
    """Scores before and after a task's own operator, each divided by its largest."""
    smooth = {} if isinstance(task.operator, Identity) else {operator_name(task): task.operator(eta, clip.batch)}
    both = {"none": eta, **smooth}
    return {name: as_share(task.scores.after_smoothing(values).cpu().numpy()) for name, values in both.items()}


def saliency_pictures(
    clip: ShownClip,
    values: Mapping[str, Float[np.ndarray, "B Te V"]],
    *,
    topology: Topology | None = None,
    shared: bool = False,
    moving: bool = True,
) -> list[Picture]:
    """A clip's saliency under each operator: a row an operator, and side by side on the moving skeleton.

    Args:
        clip: the clip.
        values: of its nodes by operator, in [0, 1].
        topology: what the operators were made of, where that is not the clip's own; its bones are drawn.
        shared: whether the rows are shares of one largest value.
        moving: also make the animation.
    """
    clip = replace(clip, compared=topology)
    unit = "saliency, share of the largest of all" if shared else UNIT.replace("the clip's", "each row's")
    panels = {"none (before)" if name == "none" else name: own for name, own in values.items()}
    pictures = [Picture("smoothing_saliency", saliency_figure(clip, panels, unit=unit))]
    if moving:
        paints = {name: shaded(own, NORM, 36) for name, own in panels.items()}
        pictures.append(Picture("smoothing_saliency", *motion_figure(clip, paints, title=clip.title, colours=(NORM, unit))))
    return pictures


def saliency_figure(clip: ShownClip, values: Mapping[str, Float[np.ndarray, "B Te V"]], *, unit: str = UNIT) -> Figure:
    """A row for each operator: the map of each body's nodes, and a strip of skeletons."""
    strip, bodies = 5.6, body_names(clip)
    row = min(max(strip / strip_shape(clip), 1.0), 1.8)
    figure = Figure(figsize=(1.1 + 2.3 * len(bodies) + strip + 0.9, row * len(values) + 1.5), layout="constrained")
    cells = figure.subplots(len(values), len(bodies) + 1, squeeze=False, width_ratios=(*(2.3 for _ in bodies), strip))
    for i, ((*maps, right), (name, own)) in enumerate(zip(cells, values.items(), strict=True)):
        first, last = i == 0, i == len(values) - 1
        for body, axes in enumerate(maps):
            image = draw_map(axes, clip, own[body], norm=NORM, names="none" if body else "parts", clock=first)
            if first and bodies[body]:
                axes.set_title(bodies[body], fontsize=9)
            if not last:
                axes.set_xlabel("")
                axes.set_xticklabels([])
        maps[0].set_ylabel(drawn(name).replace(", ", ",\n"), fontsize=9)
        draw_strip(right, clip, shaded(own, NORM, 30), labels=last)
    figure.suptitle(f"{clip.title}\n{_bones_title(clip)}", fontsize=10)
    figure.colorbar(image, ax=cells, label=unit, shrink=min(0.9, 3 / row / len(values) + 0.25), aspect=30)
    return figure


def _bones_title(clip: ShownClip) -> str:
    if clip.compared is None or not clip.links:
        return topology_title(clip.bones)
    told = f"{drawn(clip.compared.name)}: {len(clip.compared)} joints, {len(clip.compared.bones)} bones"
    return f"{told}, {len(clip.links)} of them not in the run's (dashed)"
