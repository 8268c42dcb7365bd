"""How recorded clips become what an encoder sees; it belongs to the encoder, and whoever brings clips later follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from masksem_graph.data.loader import AbsentFrames, Stream
from masksem_graph.data.transforms import ViewName, ViewOf

Origin = Literal["centre", "none"]


@dataclass(frozen=True)
class InputSpec:
    """What is done to clips before an encoder sees them.

    Args:
        origin: ``centre`` puts actor 1's first centre joint at zero, ``none`` keeps coordinates.
        view: the frame of reference that each clip is put into.
        view_of: what that is found in.
        stream: joint, bone or motion.
        absent_frames: what a body shows where it is missing.
    """

    origin: Origin = "centre"
    view: ViewName = "recorded"
    view_of: ViewOf = "first"
    stream: Stream = "joint"
    absent_frames: AbsentFrames = "hold"
