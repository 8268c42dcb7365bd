"""Clips in memory as a store, so that they go through the very loader that stores on disk go through."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from masksem_graph.data.clip import Clip
from masksem_graph.data.description import StoreDescription
from masksem_graph.data.store import Store
from masksem_graph.topology import Topology


def store_of(
    clips: Sequence[Clip],
    topology: Topology,
    *,
    origin: str = "none",
    units: str | None = None,
    classes: tuple[str, ...] = ("unknown",),
) -> Store:
    """A store of some clips that is nowhere on disk.

    Args:
        clips: each with at least one body.
        topology: their joints.
        origin: ``centre`` or ``none``, what was done to the coordinates.
        units: of the coordinates; the topology's where omitted.
        classes: names by label.
    """
    bodies = [body for clip in clips for body in clip.bodies]
    numbers = {name: np.array([getattr(clip, name) for clip in clips], np.int64) for name in NUMBERS}
    arrays = {
        "frames": np.concatenate([body.frames for body in bodies]),
        "present": np.concatenate([body.present for body in bodies]),
        "body_offset": np.cumsum([0, *(len(body.frames) for body in bodies)]),
        "body_start": np.array([body.start for body in bodies], np.int64),
        "clip_offset": np.cumsum([0, *(len(clip.bodies) for clip in clips)]),
        "name": np.array([clip.name for clip in clips]),
        "parts": np.zeros((0, len(clips)), np.int8),
        **numbers,
    }
    description = StoreDescription(
        format="",
        options={},
        origin=origin,
        units=units or topology.units,
        classes=classes,
        splits=(),
        counts={},
        topology=topology,
        checksums={},
    )
    return Store(path=Path("memory"), description=description, arrays=arrays)


NUMBERS = ("label", "subject", "camera", "setup", "length")
