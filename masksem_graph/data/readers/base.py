"""What a reader of a file format is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from masksem_graph.data.clip import Clip


class Reader(ABC):
    """Turns one format into clips. A new format is one file with one subclass; ``prepare`` finds it by its module's name or
    its dotted path. Constructors take the format's options as keywords, which become options of ``prepare``.

    A reader is sent to worker processes: it must pickle, and `read` must not depend on what was read before.
    """

    topology: ClassVar[str]
    """Name of the shipped topology that the format's joints follow."""

    classes: ClassVar[tuple[str, ...]]
    """Class names by label; empty where the source itself says which there are."""

    @abstractmethod
    def sources(self, root: Path) -> Sequence[Path]:
        """The files to read, sorted, one clip each.

        Raises:
            InputError: ``root`` is missing or holds nothing of this format.
        """

    @abstractmethod
    def read(self, source: Path) -> Clip:
        """Read one clip, not yet centred.

        Raises:
            InputError: the file is bad; one line that names it, the place, what was found and what was expected.
        """

    @abstractmethod
    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The data set's published splits.

        Args:
            clips: one array per field of `Clip` (``name``, ``label``, ``subject``, ``camera``, ``setup``), all of one length.

        Returns:
            split name -> a mask over the clips, true for training; the rest is the test set.
        """
