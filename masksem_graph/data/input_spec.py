"""How recorded clips become what an encoder sees; it belongs to the encoder, and whoever brings clips later follows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
        units: of the coordinates; None are those of the topology.
    """

    origin: Origin = "centre"
    view: ViewName = "recorded"
    view_of: ViewOf = "first"
    stream: Stream = "joint"
    absent_frames: AbsentFrames = "hold"
    units: str | None = None

    def differences(self, own: InputSpec) -> dict[str, tuple[str, str]]:
        """Fields of clips that are not as an encoder's ``own``, with both values; what either leaves open is not one."""
        pairs = {name: (value, getattr(own, name)) for name, value in asdict(self).items()}
        if self.view == own.view == "recorded":
            del pairs["view_of"]
        return {name: pair for name, pair in pairs.items() if None not in pair and pair[0] != pair[1]}
