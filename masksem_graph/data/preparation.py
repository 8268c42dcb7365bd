"""What happens to a clip between its reader and the store, or between its reader and a prediction."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.cleaning import centred, present_only
from masksem_graph.data.clip import Clip
from masksem_graph.data.missing import Missing, fill_missing, mark_missing
from masksem_graph.data.readers.base import Origin, Reader
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology

FARTHEST = {"metres": 50.0, "centimetres": 5_000.0, "millimetres": 50_000.0}
"""No sensor of bodies sees farther."""
LARGEST = 1e6
"""No coordinate is larger in any other unit."""


@dataclass(frozen=True)
class Preparation:
    """Reads a clip, refuses what cannot be one, fills joints that were not found, and centres it.

    Args:
        reader: of the clip's format, after `Reader.sources`.
        topology: the skeleton.
        origin: ``centre`` or ``none``.
    """

    reader: Reader
    topology: Topology
    origin: Origin

    def __post_init__(self) -> None:
        if self.reader.missing_frames < 0:
            raise InputError(f"--missing_frames: found {self.reader.missing_frames}, expected a number from 0")

    @property
    def units(self) -> str:
        """Of the coordinates."""
        return self.reader.units_of(self.topology)

    def __call__(self, source: Any) -> tuple[Clip, int]:
        """Read and prepare one clip.

        Returns:
            the clip, and how many of its joints were filled.

        Raises:
            InputError: one line that names file and place.
        """
        clip, topology = self.reader.read(source), self.topology
        try:
            for body in clip.bodies:
                if body.frames.shape[1:] != (len(topology), 3):
                    raise InputError(f"found frames of shape {list(body.frames.shape)}, expected [F, {len(topology)}, 3]")
            return prepared_clip(
                clip,
                topology,
                origin=self.origin,
                units=self.units,
                zeros=self.reader.zero_is_missing,
                missing=self.reader.missing,
                missing_frames=self.reader.missing_frames,
            )
        except InputError as error:
            raise InputError(f"{source}: {error}") from None


def prepared_clip(
    clip: Clip,
    topology: Topology,
    *,
    origin: Origin,
    units: str,
    zeros: bool = False,
    missing: Missing = "skip",
    missing_frames: int = 0,
) -> tuple[Clip, int]:
    """Fill the joints of a clip that were not found, refuse what cannot be a clip, and centre it.

    Args:
        clip: with the joints that the topology has as `Topology.inputs`.
        topology: the skeleton.
        origin: ``centre`` or ``none``.
        units: of the coordinates.
        zeros: whether a joint of zeros was not found, see `mark_missing`.
        missing, missing_frames: as of `fill_missing`.

    Returns:
        the clip, and how many of its joints were filled.

    Raises:
        InputError: nobody is there, a joint is missing for too long, or a coordinate is not finite or too large.
    """
    clip = mark_missing(present_only(clip), topology, origin=origin, zeros=zeros)
    clip, filled = fill_missing(clip, topology, how=missing, longest=missing_frames)
    if not clip.bodies:
        raise InputError("no frame with a body, expected at least one")
    for body in clip.bodies:
        if not np.isfinite(body.frames).all():
            raise InputError("found NaN or infinity, expected finite coordinates")
        check_size(body.frames, units)
    if origin == "centre":
        clip = centred(clip, joint=topology.inputs.index(topology.centre), dimensions=topology.dimensions)
    return clip, filled


def check_size(frames: Float32[np.ndarray, "F V C"], units: str) -> None:
    """Raise `InputError` for coordinates that no sensor of bodies sees."""
    farthest = FARTHEST.get(units, LARGEST)
    largest = np.abs(frames).max(initial=0)
    if largest > farthest:
        raise InputError(
            f"found a coordinate of {largest:g} in {units}, expected at most {farthest:g}: {_likely_unit(frames)}; "
            "expected units: in the topology to say what they are"
        )


def _likely_unit(frames: Float32[np.ndarray, "F V C"]) -> str:
    third = frames[..., 2]
    if third.min() >= 0 and third.max() <= 2:
        return "they look like pixels with a score"
    size = np.median(np.ptp(frames.astype(np.float64), axis=1).max(axis=-1))
    if size > 400:
        return "they look like millimetres"
    return "they look like centimetres or pixels" if size > 20 else "a single wrong number, or another unit"
