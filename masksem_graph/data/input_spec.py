"""How recorded clips become what an encoder sees; it belongs to the encoder, and whoever brings clips later follows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from masksem_graph.data.loader import AbsentFrames, Stream
from masksem_graph.data.transforms import ViewName, ViewOf


@dataclass(frozen=True)
class InputSpec:
    """What is done to clips before an encoder sees them, as `DataConfig` describes it; units None are the topology's."""

    origin: Literal["centre", "none"] = "centre"
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
