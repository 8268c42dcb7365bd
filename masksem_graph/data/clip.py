"""One recorded clip, as readers hand it over and as a store gives it back."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32


@dataclass(frozen=True)
class Body:
    """One body of a clip, from its first to its last present frame.

    Args:
        start: the clip's frame in which this body is first present.
        frames: coordinates in the topology's units; zero where the body is missing in between.
        present: whether the body was seen in that frame; true in the first and the last.
    """

    start: int
    frames: Float32[np.ndarray, "F V C"]
    present: Bool[np.ndarray, " F"]

    @property
    def end(self) -> int:
        """The clip's frame after this body's last."""
        return self.start + len(self.frames)


@dataclass(frozen=True)
class Clip:
    """A labelled recording of one or more bodies.

    Args:
        name: the file's name without its ending, unique in a data set.
        label: class index, from 0; -1 where there is none.
        subject, camera, setup: who, seen from where, in which set-up, as numbered by the data set; -1 where unknown.
        bodies: actor 1 first.
    """

    name: str
    label: int
    subject: int = -1
    camera: int = -1
    setup: int = -1
    bodies: tuple[Body, ...] = ()

    @property
    def length(self) -> int:
        """Frames from the clip's start to the end of its last body."""
        return max((body.end for body in self.bodies), default=0)
