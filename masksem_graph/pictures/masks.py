"""Which nodes each strategy hides: one draw, the frequency over many, next to what moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from masksem_graph.masking import Motion, Uniform
from masksem_graph.operators import Identity
from masksem_graph.pictures.canvas import body_names, draw_map, draw_strip, hidden_or_seen, motion_figure, strip_shape
from masksem_graph.pictures.clip import ShownClip
from masksem_graph.pictures.picture import Picture
from masksem_graph.pictures.tasks import scored, with_scores
from masksem_graph.report.names import drawn
from masksem_graph.report.skeleton import joint_names, part_order
from masksem_graph.saliency import GradCam, ReleasedGradCam
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.tasks.pretrain import Pretrain

DRAWS = 1000
AT_ONCE = 100
TITLES = {
    GradCam: "semantic (Grad-CAM)",
    ReleasedGradCam: "semantic (as released)",
    Motion: "motion",
    Uniform: "uniform",
}
LOOKS = (("#000000", "o", "-"), ("#D55E00", "s", "--"), ("#0072B2", "^", ":"), ("#009E73", "D", "-."))


@dataclass(frozen=True)
class Masks:
    """What a strategy hides.

    Args:
        hidden: in one draw.
        frequency: the share of many draws in which a node is hidden.
    """

    hidden: Bool[np.ndarray, "B Te V"]
    frequency: Float[np.ndarray, "B Te V"]


def strategies(task: Pretrain, semantic: Pretrain, *, known: bool = True) -> dict[str, Pretrain]:
    """The run's own strategy, and beside it semantic, motion-aware and uniform masks, by what they are called.

    Args:
        task: the run's.
        semantic: the same networks with semantic scores; the run's own task where it has such.
        known: whether the run says what its strategy is.
    """
    own = TITLES.get(type(task.scores), type(task.scores).__name__)
    chosen = {f"{own}, this run's" if known else own: task}
    for scores in (GradCam, Motion, Uniform):
        if type(task.scores) is scores or (scores is GradCam and task is semantic):
            continue
        chosen[TITLES[scores]] = semantic if scores is GradCam else with_scores(task, scores(), Identity())
    return chosen


@torch.no_grad()
def draw_masks(task: Pretrain, clip: ShownClip, *, seed: int = 0, draws: int = DRAWS) -> Masks:
    """Draw the masks of a clip many times; the first is the one that is shown.

    Args:
        task: whose strategy.
        clip: what to mask.
        seed: of the draws; strategies with the same seed get the same uniform numbers.
        draws: how many.
    """
    bodies, segments, joints = len(clip.places), clip.batch.segments, len(clip.topology)
    eta = task.scores.after_smoothing(task.operator(scored(task, clip), clip.batch)).cpu()
    generator = keyed_generator(seed, Purpose.PICTURE_MASKS)
    first, count = None, torch.zeros(bodies, segments * joints)
    for done in range(0, draws, AT_ONCE):
        now = min(AT_ONCE, draws - done)
        uniform = torch.rand(now * bodies, segments * joints, generator=generator)
        masked = task.sampler(eta.repeat(now, 1, 1), uniform).mask.masked
        hidden = torch.zeros_like(uniform).scatter_(1, masked, 1).view(now, bodies, -1)
        first = hidden[0] if first is None else first
        count += hidden.sum(0)
    assert first is not None
    shape = (bodies, segments, joints)
    return Masks(hidden=first.view(shape).bool().numpy(), frequency=(count / draws).view(shape).numpy())


def speed(clip: ShownClip, coordinates: Float[np.ndarray, "B T V C"]) -> Float[np.ndarray, "B Te V"]:
    """Mean speed of each node, in the topology's units a frame of the clip, or a second where its rate is known."""
    moved = np.linalg.norm(np.diff(coordinates, axis=1, append=coordinates[:, -1:]), axis=-1)
    moved[:, -1] = moved[:, -2]
    by_segment = moved.reshape(len(moved), clip.segments, clip.segment, -1).mean(2)
    return by_segment * clip.pace


def mask_pictures(clip: ShownClip, masks: Mapping[str, Masks], *, draws: int = DRAWS, moving: bool = True) -> list[Picture]:
    """Maps of all nodes for each body, strips of skeletons, and one draw on the moving skeleton.

    Args:
        clip: the clip.
        masks: by strategy.
        draws: how many the frequencies are of.
        moving: also make the animation.
    """
    bodies = len(clip.coordinates)
    names = ["masks"] if bodies == 1 else [f"masks_body{body + 1}" for body in range(bodies)]
    pictures = [Picture(name, maps_figure(clip, masks, draws=draws, body=body)) for body, name in enumerate(names)]
    pictures.append(Picture("masks_skeleton", skeleton_figure(clip, masks)))
    if moving:
        paints = {name: hidden_or_seen(found.hidden) for name, found in masks.items()}
        pictures.append(Picture("masks_skeleton", *motion_figure(clip, paints, title=clip.title, legend=_node_legend())))
    return pictures


def maps_figure(clip: ShownClip, masks: Mapping[str, Masks], *, draws: int, body: int) -> Figure:
    """A column a strategy: one draw above the frequency over many; at the left what moved, and each joint's mean frequency.

    All bodies of a clip have the same scales.
    """
    height = max(0.15 * len(clip.topology), 1.8)
    figure = Figure(figsize=(3.1 + 2.7 * len(masks) + 1.2, 2 * height + 2.6), layout="constrained")
    cells = figure.subplots(2, 1 + len(masks), squeeze=False)
    moved = speed(clip, clip.coordinates)
    image = draw_map(cells[0][0], clip, moved[body], norm=Normalize(0, float(moved.max()) or 1))
    cells[0][0].set_title("what moved", fontsize=10)
    unit = f"mean speed ({drawn(clip.topology.units)}/{clip.tick})"
    figure.colorbar(image, ax=cells[0][0], label=unit, location="left", shrink=0.8)
    _draw_profiles(cells[1][0], clip, masks, body)
    lowest = min(float(found.frequency.min()) for found in masks.values())
    norm = Normalize(np.floor(20 * lowest) / 20, 1)
    two = ListedColormap(["#FFFFFF", "#595959"])
    for i, (name, found) in enumerate(masks.items(), start=1):
        draw_map(cells[0][i], clip, found.hidden[body].astype(float), norm=Normalize(0, 1), colours=two, names="none")
        cells[0][i].set_title(drawn(name), fontsize=10)
        image = draw_map(cells[1][i], clip, found.frequency[body], norm=norm, names="none", clock=False)
    figure.colorbar(image, ax=cells[1][-1], label=f"hidden, share of {draws} draws", shrink=0.8)
    patches = [Patch(facecolor=c, edgecolor="#303030", label=n) for c, n in (("#595959", "hidden"), ("#FFFFFF", "seen"))]
    cells[0][-1].legend(handles=patches, title="one draw", loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    which = f", {body_names(clip)[body]} of {len(clip.places)}" if len(clip.places) > 1 else ""
    figure.suptitle(f"{clip.title}{which}", fontsize=11)
    return figure


def _draw_profiles(axes: Axes, clip: ShownClip, masks: Mapping[str, Masks], body: int) -> None:
    """Each joint's mean frequency; the legend stands below the figure, clear of the axis."""
    order = part_order(clip.topology)
    for (name, found), (colour, marker, line) in zip(masks.items(), cycle(LOOKS), strict=False):
        means = found.frequency[body].mean(0)[order]
        axes.plot(means, range(len(order)), line, color=colour, marker=marker, ms=3.5, lw=1, label=drawn(name))
    axes.set_yticks(range(len(order)), joint_names(clip.topology), fontsize=7 if len(order) > 20 else 8)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlabel("hidden, mean share", fontsize=9)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=len(masks), frameon=False, fontsize=8)


def skeleton_figure(clip: ShownClip, masks: Mapping[str, Masks]) -> Figure:
    """One draw of each strategy on the skeleton over time, a row a strategy."""
    width = 9.0
    row = min((width - 1.2) / strip_shape(clip), 2.6)
    figure = Figure(figsize=(width, (row + 0.3) * len(masks) + 0.8), layout="constrained")
    cells = figure.subplots(len(masks), 1, squeeze=False)[:, 0]
    for axes, (name, found) in zip(cells, masks.items(), strict=True):
        draw_strip(axes, clip, hidden_or_seen(found.hidden), labels=axes is cells[-1])
        axes.set_title(f"{drawn(name)}: {100 * found.hidden.mean():.0f} % hidden", fontsize=9, loc="left")
    figure.suptitle(clip.title, fontsize=11)
    figure.legend(handles=_node_legend(), loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def _node_legend() -> list[Line2D]:
    seen = Line2D([], [], color="black", marker="o", markeredgecolor="white", linestyle="", markersize=6, label="seen")
    return [seen, Line2D([], [], color="#56B4E9", marker="x", linestyle="", markersize=5, label="hidden")]
