"""One clip as pictures show it: what the networks see, where its joints are drawn, and when."""

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.views import whole_view
from masksem_graph.graph import SkeletonBatch, nodes_of
from masksem_graph.report.names import drawn
from masksem_graph.report.skeleton import long_links
from masksem_graph.topology import Topology


@dataclass(frozen=True)
class ShownClip:
    """A clip, whole and unturned, resized to the model's frames.

    Args:
        name, action: of the clip and of its class, None where it has no label.
        batch: what the networks see: one sequence.
        coordinates: of the nodes' joints, whichever stream the networks see, in the topology's units.
        topology: of the nodes.
        segment: l, frames of a segment.
        length, rate: frames of the clip before it was resized, and in a second, where that is known.
        compared: a topology with the same joints whose bones are drawn, in place of the nodes' own.
    """

    name: str
    action: str | None
    batch: SkeletonBatch
    coordinates: Float[np.ndarray, "B T V C"]
    topology: Topology
    segment: int
    length: int
    rate: float | None = None
    compared: Topology | None = None

    @property
    def bones(self) -> Topology:
        """The topology whose bones are drawn."""
        return self.compared or self.topology

    @cached_property
    def links(self) -> set[frozenset[str]]:
        """Bones that are drawn otherwise than those of a body: new ones of `compared`, or long ones of the nodes' own."""
        if self.compared is None:
            return long_links(self.topology)
        return {frozenset(bone) for bone in self.compared.bones} - {frozenset(bone) for bone in self.topology.bones}

    @property
    def title(self) -> str:
        """Name and class."""
        return drawn(self.name if self.action is None else f"{self.name}: {self.action}")

    @property
    def bodies(self) -> list[str]:
        """``body 1``, ``body 2``; nothing to tell apart where there is one alone."""
        count = len(self.coordinates)
        return [f"body {body + 1}" for body in range(count)] if count > 1 else [""]

    def title_of(self, body: int) -> str:
        """The title, and which of several bodies."""
        return self.title + (f", {self.bodies[body]} of {len(self.bodies)}" if self.bodies[body] else "")

    @property
    def places(self) -> Float[np.ndarray, "B T V 2"]:
        """Where the joints are drawn: (to the right, up). The rows of an image run downwards."""
        return self.coordinates[..., :2] * (1, -1 if self.topology.dimensions == 2 else 1)

    @property
    def frames(self) -> int:
        """T."""
        return self.coordinates.shape[1]

    @property
    def segments(self) -> int:
        """Te."""
        return self.frames // self.segment

    @property
    def pace(self) -> float:
        """Resized frames in a frame of the clip, or in a second where its rate is known."""
        return self.frames / self.length * (self.rate or 1)

    @property
    def tick(self) -> str:
        """The unit of time."""
        return "frame" if self.rate is None else "s"

    @property
    def clock(self) -> str:
        """What a time axis is labelled with."""
        return "frame of the clip" if self.rate is None else "time (s)"

    def time(self, frame: float) -> float:
        """The moment of a resized frame, which may lie between two, on the axis that `clock` labels."""
        return (frame + 0.5) / self.pace - (0 if self.rate else 0.5)


def file_of(name: str, body: str) -> str:
    """The name of a picture of one of several bodies."""
    return f"{name}_{body.replace(' ', '')}" if body else name


def show_clip(source: SkeletonLoader, clip: int, *, topology: Topology, rate: float | None = None) -> ShownClip:
    """Read a clip, given by its position in the store, for pictures; see `ShownClip`."""
    store, where = source.store, torch.tensor([clip])
    plan = source.plan(whole_view(where, source.length[where]))
    # A picture shows the body, whichever stream the networks see.
    joints = copy.copy(source)
    joints.stream, joints.derivatives = "joint", False
    label = int(store.label[clip])
    return ShownClip(
        name=Path(str(store.name[clip])).name,
        action=store.classes[label] if label >= 0 else None,
        batch=source.load(plan),
        coordinates=nodes_of(joints.load(plan).frames, topology).cpu().numpy()[..., : topology.dimensions],
        topology=topology,
        segment=source.segment,
        length=int(store.length[clip]),
        rate=rate,
    )
