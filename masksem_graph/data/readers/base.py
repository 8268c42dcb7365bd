"""What a reader of a file format is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.missing import Missing
from masksem_graph.data.source import Part
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology, load_topology

Origin = Literal["centre", "none"]
"""``centre``: the centre joint of actor 1's first present frame becomes zero; ``none``: coordinates stay as they are."""


class Reader(ABC):
    """Turns one format into clips. A new format is one file with one subclass; ``prepare`` finds it by its module's name or
    its dotted path. Constructors keep the format's options, which are keywords, under their own names.

    A reader is sent to worker processes: it must pickle, and what `read` returns must not depend on what was read before.
    """

    topology: str  # a shipped one or a file, which the joints follow; known after `sources` at the latest
    given: Topology | None = None  # the skeleton itself, where no file describes it or somebody says what it is
    classes: tuple[str, ...]  # names by label; known after `sources` at the latest
    origin: ClassVar[Origin] = "centre"  # what is done to the coordinates where nobody says otherwise
    missing: Missing = "interpolate"  # what is done about joints that were not found, where `read` leaves NaN
    missing_frames: int = 30  # for how many frames on end a joint may be missing
    zero_is_missing: ClassVar[bool] = False  # whether zeros mean in 3D, too, that a joint was not found
    loose: bool = False  # whether clips are read to be predicted: names are free, labels and splits may be missing

    def __init__(self, *, missing: Missing = "interpolate", missing_frames: int = 30) -> None:
        self.missing, self.missing_frames = missing, missing_frames

    @abstractmethod
    def sources(self, root: Path) -> Sequence[Any]:
        """What there is to read, in a fixed order, one clip each: a `Path`, or a `Part` of a file that holds several.

        Raises:
            InputError: ``root`` is missing or holds nothing of this format.
        """

    @abstractmethod
    def read(self, source: Any) -> Clip:
        """Read one clip, not yet centred.

        Raises:
            InputError: the clip is bad; one line that names file and place, what was found and what was expected.
        """

    @abstractmethod
    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The data set's splits; called once, after all clips are read.

        Args:
            clips: one array per field of `Clip` (``name``, ``label``, ``subject``, ``camera``, ``setup``), all of one length.

        Returns:
            split name -> true for the clips of the training set; or 1 for these, 0 for the test set, -1 for neither.
        """

    @property
    def skeleton(self) -> Topology:
        """What the joints follow; known after `sources`."""
        return self.given or load_topology(self.topology)

    def units_of(self, topology: Topology) -> str:
        """The unit of the coordinates that `read` gives: the topology's, unless the reader converts them."""
        return topology.units

    def files(self, root: Path) -> Sequence[Path]:
        """All files that the clips depend on: what was read is read again when one of them changes."""
        return list(dict.fromkeys(source.path if isinstance(source, Part) else source for source in self.sources(root)))


def whole_bodies(bodies: Iterable[Float32[np.ndarray, "F V 3"]]) -> tuple[Body, ...]:
    """Bodies as arrays over all frames of a clip; frames of zeros are taken for absent later."""
    return tuple(Body(start=0, frames=frames, present=np.ones(len(frames), bool)) for frames in bodies)


def listed(names: str) -> tuple[str, ...]:
    """Names that stand in a text, with commas between them."""
    return tuple(" ".join(names.split()).split(", "))


def clips_below(root: Path, pattern: str, is_clip: Callable[[Path], object], kind: str) -> list[Path]:
    """The files of a data set that has one a clip, at any depth of a folder; an `InputError` where there is none."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder, expected one with {kind}")
    found = sorted(path for path in root.rglob(pattern) if is_clip(path))
    if not found:
        raise InputError(f"{root}: holds no {kind}")
    return found


def one_file(root: Path, *endings: str) -> Path:
    """The one file that is a data set, given by itself or by its folder; an `InputError` where that has none, or several."""
    found = sorted(path for path in root.iterdir() if path.suffix in endings) if root.is_dir() else [root]
    if len(found) != 1 or not found[0].is_file():
        there = ", ".join(path.name for path in found[:4]) if root.is_dir() and found else "none"
        raise InputError(f"{root}: found {there}, expected one {endings[0]} file, which is a store of its own")
    return found[0]
