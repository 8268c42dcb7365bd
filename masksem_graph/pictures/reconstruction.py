"""What the decoder says of hidden nodes, beside what is true."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from masksem_graph.graph import nodes_of, to_segments
from masksem_graph.methods.ha_cm import InPoincareBall
from masksem_graph.pictures.canvas import require_joints
from masksem_graph.pictures.clip import ShownClip, file_of
from masksem_graph.pictures.picture import Picture
from masksem_graph.pictures.tasks import drawn_mask
from masksem_graph.report.names import drawn, shown
from masksem_graph.targets import standardise
from masksem_graph.tasks.pretrain import SHARED, Pretrain

ORDERS = {"coordinates": 0, "velocity": 1, "acceleration": 2}
"""Of the derivative in time; of another target nothing is known."""
JOINTS = 4
TRUE, PREDICTED, SEEN = "#000000", "#D55E00", "#E8E8E8"


@dataclass(frozen=True)
class Reconstruction:
    """One target of a clip: its name, the unit of its values, the truth, and what the decoder says at hidden nodes.

    Elsewhere ``predicted`` is not a number. The decoder says standardised values; where these are not what is shown, each node
    has been given the mean and deviation of the truth. ``error`` and ``nothing`` are the mean squared error at hidden nodes,
    standardised, and that of saying zero everywhere. ``shared``: the same prediction is held against other targets as well.
    """

    name: str
    unit: str
    true: Float[np.ndarray, "B T V C"]
    predicted: Float[np.ndarray, "B T V C"]
    hidden: Bool[np.ndarray, "B Te V"]
    error: float
    nothing: float
    shared: bool
    standardised: bool


@torch.no_grad()
def reconstruct(task: Pretrain, clip: ShownClip, *, seed: int = 0, standardised: bool = False) -> list[Reconstruction]:
    """Hide nodes as the run's method does, and predict them; the clip is read with derivatives where the target needs them.

    ``standardised`` shows what the loss compares: each node's values with zero mean and unit variance.
    """
    batch = clip.batch
    mask = drawn_mask(task, clip, seed=seed)
    predictions = task.predict(batch, mask)
    hidden = torch.zeros(batch.num_bodies, batch.layout.nodes, device=mask.masked.device).scatter_(1, mask.masked, 1)
    out = []
    for name, values in task.target.values(batch).items():
        nodes = to_segments(nodes_of(values, batch.topology), clip.segment).flatten(1, 2)
        shared = name not in predictions
        at_hidden = predictions[SHARED if shared else name].float()
        index = mask.masked[..., None].expand(-1, -1, nodes.shape[-1])
        true = standardise(nodes)
        truth, said = true.gather(1, index), torch.full_like(nodes, torch.nan).scatter(1, index, at_hidden)
        unit = "standardised"
        if not standardised:
            unit, scale = _unit(name, task, clip)
            mean, deviation = nodes.mean(-1, keepdim=True), (nodes.var(-1, keepdim=True) + 1e-6).sqrt()
            true, said = scale * nodes, scale * (said * deviation + mean)
        found = Reconstruction(
            name=name,
            unit=unit,
            true=_by_frame(true, clip),
            predicted=_by_frame(said, clip),
            hidden=hidden.view(batch.num_bodies, batch.segments, -1).bool().cpu().numpy(),
            error=float((at_hidden - truth).square().mean()),
            nothing=float(truth.square().mean()),
            shared=shared and len(task.target.weights) > 1,
            standardised=standardised,
        )
        out.append(found)
    return out


def _unit(name: str, task: Pretrain, clip: ShownClip) -> tuple[str, float]:
    """What a target is measured in, and how many of these its values are."""
    if isinstance(task.target, InPoincareBall):
        return "in the Poincaré ball", 1.0
    if name not in ORDERS:
        return "the target's unit", 1.0
    order = ORDERS[name]
    # Differences are taken between resized frames, or between those of the clip itself.
    pace = (clip.rate or 1.0) if task.target.before_resize else clip.pace
    return clip.topology.units + ("", f"/{clip.tick}", f"/{clip.tick}²")[order], pace**order


def _by_frame(nodes: Float[Tensor, "B N F"], clip: ShownClip) -> Float[np.ndarray, "B T V C"]:
    """Node values, (frame, coordinate) within a node, as frames."""
    bodies, joints = len(nodes), len(clip.topology)
    split = nodes.view(bodies, clip.segments, joints, clip.segment, -1).transpose(2, 3)
    return split.reshape(bodies, clip.frames, joints, -1).cpu().numpy()


def moving_joints(clip: ShownClip, body: int = 0) -> list[str]:
    """The joints of a body that go the longest way."""
    way = np.linalg.norm(np.diff(clip.coordinates[body], axis=0), axis=-1).sum(0)
    return [clip.topology.joints[joint] for joint in np.argsort(-way, kind="stable")[:JOINTS]]


def reconstruction_pictures(
    clip: ShownClip, found: Sequence[Reconstruction], joints: Sequence[str] = (), *, shared: bool = True
) -> list[Picture]:
    """A picture for each target and body; of `moving_joints` where no joints are given, ``InputError`` for unknown ones.

    ``shared``: one scale for all rows of a picture, so that amplitudes compare; else one for each joint.
    """
    require_joints(clip.topology, joints)
    pictures = []
    for body, which in enumerate(clip.bodies):
        chosen = list(joints) or moving_joints(clip, body)
        for target in found:
            figure = _figure(clip, target, chosen, body, shared=shared)
            pictures.append(Picture(file_of(f"reconstruction_{target.name}", which), figure))
    return pictures


def _figure(clip: ShownClip, target: Reconstruction, joints: Sequence[str], body: int, *, shared: bool) -> Figure:
    """A row a joint, a column a coordinate: truth, prediction, and what the encoder saw."""
    channels = target.true.shape[-1]
    figure = Figure(figsize=(3.6 * channels + 0.4, 1.55 * len(joints) + 1.6), layout="constrained")
    cells = figure.subplots(len(joints), channels, squeeze=False, sharex=True, sharey="all" if shared else "row")
    for row, joint in zip(cells, joints, strict=True):
        for c, axes in enumerate(row):
            _draw_curve(axes, clip, target, body, clip.topology.index[joint], c)
        row[0].set_ylabel(f"{shown(joint)}\n({drawn(target.unit)})", fontsize=8)
    for c, (top, bottom) in enumerate(zip(cells[0], cells[-1], strict=True)):
        top.set_title("xyz"[c] if channels <= 3 else str(c), fontsize=10)
        bottom.set_xlabel(clip.clock, fontsize=9)
    told = "one prediction for all targets" if target.shared else "a prediction of its own"
    figure.suptitle(
        f"{clip.title_of(body)}\n"
        f"{drawn(target.name)}, {100 * target.hidden[body].mean():.0f} % of the nodes hidden; {told}\n"
        f"standardised error {target.error:.2f}, {100 * target.error / max(target.nothing, 1e-9):.0f} % of that of "
        f"zero everywhere ({target.nothing:.2f}); {'one scale for all joints' if shared else 'a scale for each joint'}",
        fontsize=10,
    )
    told = "predicted" if target.standardised else "predicted, with the true mean and deviation of each node"
    entries = [
        Line2D([], [], color=TRUE, linewidth=1.3, label="true"),
        Line2D([], [], color=PREDICTED, linewidth=1, marker="o", markersize=3, label=told),
        Patch(facecolor=SEEN, label="seen by the encoder"),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw_curve(axes: Axes, clip: ShownClip, target: Reconstruction, body: int, joint: int, channel: int) -> None:
    when = np.array([clip.time(frame) for frame in range(clip.frames)])
    half = (clip.time(1) - clip.time(0)) / 2
    look: dict[str, Any] = {"color": PREDICTED, "linewidth": 1, "marker": "o", "markersize": 2.6, "zorder": 3}
    for segment, hidden in enumerate(target.hidden[body, :, joint]):
        part = slice(segment * clip.segment, (segment + 1) * clip.segment)
        if hidden:
            axes.plot(when[part], target.predicted[body, part, joint, channel], **look)
        else:
            axes.axvspan(when[part][0] - half, when[part][-1] + half, color=SEEN, linewidth=0, zorder=0)
    axes.plot(when, target.true[body, :, joint, channel], color=TRUE, linewidth=1.3, zorder=2)
    axes.axhline(0, color="#BBBBBB", linewidth=0.6, zorder=1)
    axes.set_xlim(when[0] - half, when[-1] + half)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
