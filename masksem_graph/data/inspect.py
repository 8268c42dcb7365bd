"""What is in a store: a table for the terminal, and pictures that show a wrong joint order at a glance."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from rich.console import Console
from rich.table import Table
from rich.text import Text

from masksem_graph.data.clip import Clip
from masksem_graph.data.mean_pose import is_left, joint_sides
from masksem_graph.data.store import SKIPPED, Store
from masksem_graph.files import write_beside
from masksem_graph.topology import Topology

# Okabe and Ito's colours, dark against light: the sides differ without colour vision too, and on a grey printer.
DARK, LIGHT, TRUNK = "#0072B2", "#E69F00", "#444444"
MOMENTS = 6
STRIP = 2.6
"""Width of a drawing of all moments by its height."""
DRAWN_SPLITS = 8
NAMED_CLASSES = 40
"""More class names than these do not fit along an axis."""


def inspect_store(store: Store, *, output: Path | None) -> list[Path]:
    """Print what is in a store, and draw it.

    Args:
        store: what to look at.
        output: folder for ``splits.png`` (lengths and classes per split) and ``skeletons.png`` (one clip a class);
            None for the table alone.

    Returns:
        the pictures.
    """
    Console().print(summary(store))
    if output is None:
        return []
    output.mkdir(parents=True, exist_ok=True)
    figures = {"skeletons.png": draw_skeletons(store)} | ({"splits.png": draw_splits(store)} if store.splits else {})
    for name, figure in figures.items():
        with write_beside(output / name) as partial:
            figure.savefig(partial, dpi=120, facecolor="white", format="png")
        Console(stderr=True).print(f"{output / name}", soft_wrap=True, markup=False)
    return [output / name for name in figures]


def summary(store: Store) -> Table:
    """Counts, lengths, groups and splits of a store."""
    title = f"{store.path.name}: {store.format or 'a store'} on {store.topology.name}"
    table = Table(title=Text(title, style="table.title"), show_header=False)
    bodies, lengths, skipped = np.diff(store.clip_offset), store.length, store.counts["skipped"]
    score = " and the score" if store.frames.shape[2] > store.dimensions else ""
    rows = {
        "clips": f"{len(store):,}",
        "bodies": f"{bodies.sum():,}",
        "two-person clips": f"{(bodies > 1).sum():,}",
        "frames of bodies": f"{len(store.present):,}, {store.present.mean():.2%} of them present",
        "length": f"{lengths.min()} to {lengths.max()} frames, median {np.median(lengths):g}",
        "coordinates": f"{store.dimensions}{score}, {store.units}, origin: {store.origin}",
        "options": ", ".join(f"{name}: {value}" for name, value in store.options.items()) or "none",
        "classes": f"{len(np.unique(store.label[store.label >= 0]))} of {len(store.classes)}",
        **{f"{field}s": _numbers(getattr(store, field)) for field in ("subject", "camera", "setup")},
        **{f"split {name}": _split(store, parts) for name, parts in store.splits.items()},
        "dropped": f"{skipped:,} bad clips, listed in {store.path / SKIPPED}" if skipped else "no bad clip",
        "filled": f"{store.counts['filled']:,} joints that were not found",
        "fingerprint": store.fingerprint[:16],
    }
    for name, value in rows.items():
        table.add_row(Text(name), Text(value))
    return table


def _numbers(values: Int64[np.ndarray, " clips"]) -> str:
    """How many there are and which: ``5: 1-3, 7, 9``."""
    known = np.unique(values[values >= 0])
    if not len(known):
        return "unknown"
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    return f"{len(known)}: " + ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _split(store: Store, parts: dict[str, Int64[np.ndarray, " part"]]) -> str:
    neither = len(store) - len(parts["train"]) - len(parts["test"])
    return f"{len(parts['train']):,} train, {len(parts['test']):,} test" + (f", {neither:,} in neither" if neither else "")


def draw_splits(store: Store) -> Figure:
    """Histograms of clip lengths and of classes, a row a split; of many splits, folds for instance, the first ones."""
    shown = dict(list(store.splits.items())[:DRAWN_SPLITS])
    figure = Figure(figsize=(13, 4.2 * len(shown)), layout="constrained")
    if left_out := len(store.splits) - len(shown):
        figure.suptitle(f"the first {len(shown)} splits; {left_out} more are not drawn", x=0.01, ha="left")
    edges = np.histogram_bin_edges(store.length, bins=min(40, int(np.ptp(store.length)) + 1)).tolist()
    places = np.arange(len(store.classes))
    axes = figure.subplots(len(shown), 2, squeeze=False, width_ratios=[2, 3])
    for (left, right), (name, parts) in zip(axes, shown.items(), strict=True):
        for part, colour, shift in (("train", DARK, -0.2), ("test", LIGHT, 0.2)):
            index = parts[part]
            left.hist(store.length[index], edges, color=colour, alpha=0.5, label=f"{part} ({len(index):,})")
            labels = store.label[index]
            right.bar(places + shift, np.bincount(labels[labels >= 0], minlength=len(places)), 0.4, color=colour)
        left.set(xlabel="frames", ylabel="clips", xlim=(edges[0], edges[-1]))
        right.set(ylabel="clips", xlim=(-0.7, len(places) - 0.3))
        if len(places) <= NAMED_CLASSES:
            turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor", "fontsize": "small"}
            right.set_xticks(places, store.classes, parse_math=False, **turned)
        else:
            right.set_xlabel("class")
        for cell, what in ((left, "lengths"), (right, "classes")):
            cell.set_title(f"{name}: {what}", loc="left", parse_math=False)
            cell.yaxis.set_major_locator(MaxNLocator(integer=True))
            cell.spines[["top", "right"]].set_visible(False)
        left.legend(frameon=False)
    return figure


def draw_skeletons(store: Store) -> Figure:
    """A contact sheet: one clip a class, at moments from its start to its end, as the camera saw it, axes equal."""
    clips = list(_one_a_class(store))
    columns = 1 if len(clips) < 4 else 2 if len(clips) <= 24 else 3
    rows = -(-len(clips) // columns)
    figure = Figure(figsize=(7 * columns, (7 / STRIP + 0.35) * rows + 0.6), layout="constrained")
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for cell in cells:
        cell.set_axis_off()
    for cell, clip in zip(cells, clips, strict=False):
        _draw_strip(cell, _strip(clip, store.topology), store.topology)
        name = store.classes[clip.label] if clip.label >= 0 else "no label"
        cell.set_title(name, loc="left", fontsize=12, parse_math=False)
        cell.set_title(f"{clip.name}, {clip.length} frames", loc="right", fontsize=8, color="#666666", parse_math=False)
    figure.legend(handles=_legend(store.topology), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"{store.topology.name} as the camera saw it, time to the right", x=0.01, ha="left", fontsize=13)
    return figure


def _one_a_class(store: Store) -> Iterator[Clip]:
    """Of each class that occurs the first clip of middle length."""
    for label in np.unique(store.label):
        members = np.flatnonzero(store.label == label)
        away = np.abs(store.length[members] - np.median(store.length[members]))
        yield store[int(members[np.argmin(away)])]


def _strip(clip: Clip, topology: Topology) -> list[Float[np.ndarray, "V 2"]]:
    """Bodies at `MOMENTS` moments of actor 1, side by side: x to the right, y up, each moment centred on actor 1."""
    actor = clip.bodies[0]
    seen = np.flatnonzero(actor.present)
    up = -1 if _grows_downwards(actor.frames[seen], topology) else 1
    places = []
    for moment in np.unique(seen[((np.arange(MOMENTS) + 0.5) / MOMENTS * len(seen)).astype(int)]):
        centre = actor.frames[moment, topology.index[topology.centre], 0]
        at = actor.start + moment
        there = [b.frames[at - b.start] for b in clip.bodies if b.start <= at < b.end and b.present[at - b.start]]
        places.append([(f[:, :2] - (centre, 0)) * (1, up) for f in there])
    width, height = np.ptp(np.concatenate([body for bodies in places for body in bodies]), axis=0)
    step = max(1.15 * width, STRIP * height / MOMENTS)
    return [body + np.array((step * i, 0)) for i, bodies in enumerate(places) for body in bodies]


def _grows_downwards(frames: Float[np.ndarray, "F V C"], topology: Topology) -> bool:
    """Whether y does, as in images and in MediaPipe's world: the body stands upside down beside its pose at rest."""
    known = [i for i, joint in enumerate(topology.inputs) if joint in topology.rest_pose]
    rest = np.array([topology.rest_pose[topology.inputs[i]][1] for i in known])
    y = frames[:, known, 1].mean(0)
    if topology.dimensions == 2 or len(known) < 3 or not rest.std() * y.std():
        return topology.dimensions == 2
    return float(np.corrcoef(rest, y)[0, 1]) < -0.5


def _draw_strip(axes: Axes, strip: list[Float[np.ndarray, "V 2"]], topology: Topology) -> None:
    ends = np.array([(topology.index[a], topology.index[b]) for a, b in topology.bones])
    sides = joint_sides(topology)
    for body in strip:
        for side, colour in enumerate((TRUNK, LIGHT, DARK)):
            # What belongs to a side hangs from the trunk: the bone has the side that either end has.
            bones = body[ends[sides[ends].max(1) == side]]
            axes.plot(*bones.T, color=colour, linewidth=2.2, solid_capstyle="round", zorder=1)
            fill = "white" if side == 1 else colour
            x, y = body[sides == side].T
            axes.scatter(x, y, s=9, facecolor=fill, edgecolor=colour, linewidth=1, zorder=2)
    low, high = (bound(np.concatenate(strip), axis=0) for bound in (np.min, np.max))
    middle, half = (low + high) / 2, 0.53 * max(high[1] - low[1], (high[0] - low[0]) / STRIP, 1e-6)
    # The same shape for every cell, so that they stand in line; its two axes have one scale.
    axes.set(xlim=(middle[0] - STRIP * half, middle[0] + STRIP * half), ylim=(middle[1] - half, middle[1] + half))
    axes.set_aspect("equal")


def _legend(topology: Topology) -> list[Line2D]:
    sides = joint_sides(topology)
    left = all(is_left(joint) for joint, side in zip(topology.joints, sides, strict=True) if side == 1)
    names = ("left", "right", "middle") if left else ("one side", "other side", "middle")
    looks = zip(names, (LIGHT, DARK, TRUNK), ("white", DARK, TRUNK), strict=True)
    return [Line2D([], [], color=c, lw=2.2, marker="o", ms=4, markerfacecolor=fill, label=name) for name, c, fill in looks]
