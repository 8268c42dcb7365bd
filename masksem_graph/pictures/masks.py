"""Which nodes each strategy hides: one draw, the frequency over many, next to what moved."""

from collections.abc import Mapping
from itertools import cycle
from typing import NamedTuple

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
from masksem_graph.pictures.canvas import SHARES, draw_map, draw_strip, hidden_or_seen, moving_picture, strip_shape
from masksem_graph.pictures.clip import ShownClip, file_of
from masksem_graph.pictures.picture import Picture
from masksem_graph.pictures.tasks import scored, with_scores
from masksem_graph.report.names import drawn
from masksem_graph.report.skeleton import part_order
from masksem_graph.saliency import GradCam, ReleasedGradCam
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.tasks.pretrain import Pretrain

AT_ONCE = 100
TITLES = {
    GradCam: "semantic (Grad-CAM)",
    ReleasedGradCam: "semantic (as released)",
    Motion: "motion",
    Uniform: "uniform",
}
LOOKS = (("#000000", "o", "-"), ("#D55E00", "s", "--"), ("#0072B2", "^", ":"), ("#009E73", "D", "-."))
NODES = [
    Line2D([], [], color="black", marker="o", markeredgecolor="white", linestyle="", markersize=6, label="seen"),
    Line2D([], [], color="#56B4E9", marker="x", linestyle="", markersize=5, label="hidden"),
]


class Masks(NamedTuple):
    """What a strategy hides in one draw, and the share of many draws in which a node is hidden."""

    hidden: Bool[np.ndarray, "B Te V"]
    frequency: Float[np.ndarray, "B Te V"]


def strategies(task: Pretrain, semantic: Pretrain, *, known: bool = True) -> dict[str, Pretrain]:
    """The run's own strategy, and beside it semantic, motion-aware and uniform masks, by what they are called.

    ``semantic`` is the same networks with semantic scores, or the run's own task; ``known``: whether its strategy is.
    """
    own = TITLES.get(type(task.scores), type(task.scores).__name__)
    chosen = {f"{own}, this run's" if known else own: task}
    if task is not semantic:
        chosen[TITLES[GradCam]] = semantic
    for kind in (Motion, Uniform):
        if type(task.scores) is not kind:
            chosen[TITLES[kind]] = with_scores(task, kind(), Identity())
    return chosen


@torch.no_grad()
def draw_masks(task: Pretrain, clip: ShownClip, *, seed: int = 0, draws: int) -> Masks:
    """Draw a clip's masks many times and keep the first; strategies with one seed get the same uniform numbers."""
    bodies, nodes = len(clip.places), clip.segments * len(clip.topology)
    eta = task.scores.after_smoothing(task.operator(scored(task, clip), clip.batch)).cpu()
    generator = keyed_generator(seed, Purpose.PICTURE_MASKS)
    count = torch.zeros(bodies, nodes)
    for done in range(0, draws, AT_ONCE):
        now = min(AT_ONCE, draws - done)
        uniform = torch.rand(now * bodies, nodes, generator=generator)
        masked = task.sampler(eta.repeat(now, 1, 1), uniform).mask.masked
        hidden = torch.zeros_like(uniform).scatter_(1, masked, 1).view(now, bodies, nodes)
        if not done:
            first = hidden[0].bool()
        count += hidden.sum(0)
    shape = bodies, clip.segments, len(clip.topology)
    return Masks(first.view(shape).numpy(), (count / draws).view(shape).numpy())


def speed(clip: ShownClip, coordinates: Float[np.ndarray, "B T V C"]) -> Float[np.ndarray, "B Te V"]:
    """Mean speed of each node, in the topology's units a frame of the clip, or a second where its rate is known."""
    moved = np.linalg.norm(np.diff(coordinates, axis=1, append=coordinates[:, -1:]), axis=-1)
    moved[:, -1] = moved[:, -2]
    return moved.reshape(len(moved), clip.segments, clip.segment, -1).mean(2) * clip.pace


def mask_pictures(clip: ShownClip, masks: Mapping[str, Masks], *, draws: int, moving: bool = True) -> list[Picture]:
    """Maps of all nodes for each body, strips of skeletons, and one draw on the moving skeleton; masks by strategy."""
    maps = enumerate(clip.bodies)
    pictures = [Picture(file_of("masks", name), maps_figure(clip, masks, draws=draws, body=body)) for body, name in maps]
    pictures.append(Picture("masks_skeleton", _skeleton_figure(clip, masks)))
    if moving:
        paints = {name: hidden_or_seen(found.hidden) for name, found in masks.items()}
        pictures.append(moving_picture("masks_skeleton", clip, paints, legend=NODES))
    return pictures


def maps_figure(clip: ShownClip, masks: Mapping[str, Masks], *, draws: int, body: int) -> Figure:
    """A column a strategy: one draw above the frequency over many; at the left what moved, and each joint's mean frequency.

    All bodies of a clip have the same scales.
    """
    height = max(0.15 * len(clip.topology), 1.8)
    figure = Figure(figsize=(3.1 + 2.7 * len(masks) + 1.2, 2 * height + 2.6), layout="constrained")
    (first, *tops), (profiles, *bottoms) = figure.subplots(2, 1 + len(masks), squeeze=False)
    moved = speed(clip, clip.coordinates)
    image = draw_map(first, clip, moved[body], norm=Normalize(0, float(moved.max()) or 1))
    first.set_title("what moved", fontsize=10)
    unit = f"mean speed ({drawn(clip.topology.units)}/{clip.tick})"
    figure.colorbar(image, ax=first, label=unit, location="left", shrink=0.8)
    _draw_profiles(figure, profiles, clip, masks, body)
    norm = Normalize(np.floor(20 * min(float(found.frequency.min()) for found in masks.values())) / 20, 1)
    two = ListedColormap(["#FFFFFF", "#595959"])
    for top, bottom, (name, found) in zip(tops, bottoms, masks.items(), strict=True):
        draw_map(top, clip, found.hidden[body].astype(float), norm=SHARES, colours=two, names="none")
        top.set_title(drawn(name), fontsize=10)
        image = draw_map(bottom, clip, found.frequency[body], norm=norm, names="none", clock=False)
    figure.colorbar(image, ax=bottoms[-1], label=f"hidden, share of {draws} draws", shrink=0.8)
    patches = [Patch(facecolor=c, edgecolor="#303030", label=n) for c, n in (("#595959", "hidden"), ("#FFFFFF", "seen"))]
    tops[-1].legend(handles=patches, title="one draw", loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    figure.suptitle(clip.title_of(body), fontsize=11)
    return figure


def _draw_profiles(figure: Figure, axes: Axes, clip: ShownClip, masks: Mapping[str, Masks], body: int) -> None:
    """Each joint's mean frequency; the legend stands below the figure, clear of the axis."""
    order, joints = part_order(clip.topology), len(clip.topology)
    for (name, found), (colour, marker, line) in zip(masks.items(), cycle(LOOKS), strict=False):
        means = found.frequency[body].mean(0)[order.joints]
        axes.plot(means, range(joints), line, color=colour, marker=marker, ms=3.5, lw=1, label=drawn(name))
    axes.set_yticks(range(joints), order.names, fontsize=7 if joints > 20 else 8)
    axes.set_ylim(joints - 0.5, -0.5)
    axes.set_xlabel("hidden, mean share", fontsize=9)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=len(masks), frameon=False, fontsize=8)


def _skeleton_figure(clip: ShownClip, masks: Mapping[str, Masks]) -> Figure:
    """One draw of each strategy on the skeleton over time, a row a strategy."""
    row = min(7.8 / strip_shape(clip), 2.6)
    figure = Figure(figsize=(9.0, (row + 0.3) * len(masks) + 0.8), layout="constrained")
    cells = figure.subplots(len(masks), 1, squeeze=False)[:, 0]
    for axes, (name, found) in zip(cells, masks.items(), strict=True):
        draw_strip(axes, clip, hidden_or_seen(found.hidden), labels=axes is cells[-1])
        axes.set_title(f"{drawn(name)}: {100 * found.hidden.mean():.0f} % hidden", fontsize=9, loc="left")
    figure.suptitle(clip.title, fontsize=11)
    figure.legend(handles=NODES, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure
