"""What a reader of a file format is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from masksem_graph.data.clip import Clip
from masksem_graph.data.missing import Missing
from masksem_graph.data.source import file_of
from masksem_graph.topology import Topology, load_topology

Origin = Literal["centre", "none"]
"""``centre``: the centre joint of actor 1's first present frame becomes zero; ``none``: coordinates stay as they are."""


class Reader(ABC):
    """Turns one format into clips. A new format is one file with one subclass; ``prepare`` finds it by its module's name or
    its dotted path. Constructors take the format's options as keywords, which become options of ``prepare``, and keep each
    under its own name.

    A reader is sent to worker processes: it must pickle, and what `read` returns must not depend on what was read before.
    """

    topology: str
    """The shipped topology or the topology file that the joints follow; known after `sources` at the latest."""

    given: Topology | None = None
    """The skeleton itself where no file describes it, or where somebody else says what it is; it goes before `topology`."""

    classes: tuple[str, ...]
    """Class names by label; known after `sources` at the latest."""

    origin: ClassVar[Origin] = "centre"
    """What is done to this format's coordinates where nobody says otherwise."""

    missing: Missing = "interpolate"
    """What is done about joints that were not found: `read` leaves NaN there."""

    missing_frames: int = 30
    """For how many frames on end a joint may be missing."""

    zero_is_missing: ClassVar[bool] = False
    """Whether zeros mean in 3D, too, that a joint was not found."""

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

    @property
    def skeleton(self) -> Topology:
        """What the joints follow; known after `sources`.

        Raises:
            InputError: as `load_topology`.
        """
        return self.given or load_topology(self.topology)

    def units_of(self, topology: Topology) -> str:
        """The unit of the coordinates that `read` gives: the topology's, unless the reader converts them."""
        return topology.units

    @abstractmethod
    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The data set's splits; called once, after all clips are read.

        Args:
            clips: one array per field of `Clip` (``name``, ``label``, ``subject``, ``camera``, ``setup``), all of one length.

        Returns:
            split name -> 1 for the clips of the training set, 0 for those of the test set, -1 for those of neither. A mask
            that is true for training says the same where every clip is in one of them.

        Raises:
            InputError: a split names a clip that the source does not have.
        """

    def files(self, root: Path) -> Sequence[Path]:
        """All files that the clips depend on: what was read is read again when one of them changes.

        Raises:
            InputError: as `sources`.
        """
        return list(dict.fromkeys(file_of(source) for source in self.sources(root)))
