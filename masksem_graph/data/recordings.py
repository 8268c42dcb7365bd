"""What the readers of pose trackers have in common: recordings in folders, labelled by a table or by their folders."""

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Float64

from masksem_graph.data.keypoints import Person, bodies_of, ranked
from masksem_graph.data.missing import Missing
from masksem_graph.data.readers.folder import FolderReader
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology

SHARES_AT_MOST = 20.0  # a joint outside of the picture is guessed, but not so far away


class RecordingsReader(FolderReader):
    """Recordings of a pose tracker, laid out as `FolderReader` reads them, or without its table and description.

    Args:
        topology: what the joints follow, where the files fit several.
        width, height: of the pictures in pixels. With them points are measured from the picture's centre, in halves of its
            longer side (units ``image``), which makes clips of different cameras alike; without, they are pixels.
        bodies: how many to keep: those with the highest scores, summed over joints and frames.
        min_score: a joint with a lower score was not found.
        missing, missing_frames: as of `FolderReader`.
    """

    described: ClassVar[bool] = False
    topologies: ClassVar[tuple[str, ...]]  # what the joints of this format may follow
    frame_name: ClassVar[re.Pattern[str] | None] = None
    """Of the files of a recording that has one a frame, in a folder: what the recording is called, and the frame's number."""

    def __init__(
        self,
        *,
        topology: str | None = None,
        width: int | None = None,
        height: int | None = None,
        bodies: int = 2,
        min_score: float = 0.0,
        missing: Missing = "interpolate",
        missing_frames: int = 30,
    ) -> None:
        super().__init__(missing=missing, missing_frames=missing_frames)
        if topology is not None:
            self.topology = topology
        self.width, self.height, self.bodies, self.min_score = width, height, bodies, min_score
        if (width is None) != (height is None) or min(width or 1, height or 1) < 1:
            raise InputError(f"--width, --height: found {width}, {height}, expected both in pixels, or neither")
        if bodies < 1 or not 0 <= min_score < 1:
            raise InputError(f"--bodies, --min_score: found {bodies}, {min_score}, expected at least 1, and 0 to 1")

    @abstractmethod
    def people(self, path: Path) -> Mapping[int, Sequence[Person]]:
        """Who is in each frame of a recording; points of an image as `in_picture` gives them."""

    @classmethod
    def is_clip(cls, path: Path) -> bool:
        if cls.frame_name and path.is_dir():
            return any(cls.frame_name.fullmatch(file.name) for file in path.glob("*"))
        return super().is_clip(path)

    def frame_files(self, folder: Path) -> dict[int, Path]:
        """The files of a recording by the frame's number from 0; an `InputError` where they are of none, or of several."""
        name = self.frame_name or re.compile("")
        found = {path: match for path in sorted(folder.iterdir()) if (match := name.fullmatch(path.name))}
        if len(names := sorted({match[1] for match in found.values()})) != 1:
            there = f"{names[0][:40]!r} and {names[1][:40]!r}" if names else "no frame"
            raise InputError(f"{folder}: found {there}, expected the frames of one recording in a folder of their own")
        numbers = ranked(folder, [int(match[2]) for match in found.values()])
        return dict(sorted(zip(numbers, found, strict=True)))

    def fitting(self, path: Path) -> Sequence[str]:
        return self.topologies

    def units_of(self, topology: Topology) -> str:
        return "image" if topology.dimensions == 2 and self.width else topology.units

    def in_picture(
        self,
        place: object,
        points: Float64[np.ndarray, "*T V 3"],
        *,
        shares: bool = False,
        size: tuple[int, int] | None = None,
    ) -> Float64[np.ndarray, "*T V 3"]:
        """x, y and score in the reader's units, from pixels or from ``shares`` of the picture's width and height."""
        if size is None and self.width and self.height:
            size = (self.width, self.height)
        if shares and size is None:
            raise InputError(f"{place}: found shares of the picture, expected --width and --height, its size in pixels")
        if shares and (largest := _largest(points)) > SHARES_AT_MOST:
            raise InputError(f"{place}: found {largest:g}, expected shares of the picture, 0 to 1 inside")
        if size is None:
            return points
        placed = points.copy()
        placed[..., :2] = (points[..., :2] * (size if shares else 1) - np.array(size) / 2) * (2 / max(size))
        return placed

    def of_pixels(self, place: object, frames: Mapping[int, Sequence[Person]]) -> dict[int, list[Person]]:
        """People whose points are pixels, in the reader's units; what looks like shares of the picture is refused."""
        largest = max((_largest(person.points) for people in frames.values() for person in people), default=0.0)
        if 0 < largest <= 2:
            raise InputError(f"{place}: found points up to {largest:g}, expected pixels: they look like shares of the picture")
        return {
            number: [Person(self.in_picture(place, person.points), person.identity) for person in people]
            for number, people in frames.items()
        }

    def _bodies(self, path: Path) -> Float32[np.ndarray, "M T V 3"]:
        people = self.people(path)
        return bodies_of(path, people, self.joints, self.dimensions, most=self.bodies, least_score=self.min_score)


def _largest(points: Float64[np.ndarray, "*T V 3"]) -> float:
    return float(np.nanmax(np.abs(points[..., :2]), initial=0))
