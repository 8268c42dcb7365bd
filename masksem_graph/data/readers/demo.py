"""The embedded data set: skeletons that are computed, written as NTU RGB+D files and read like them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from masksem_graph.data.cleaning import Cleaning
from masksem_graph.data.demo import CLASSES, write_demo
from masksem_graph.data.readers.ntu import TRAINING_CAMERAS, NTUReader
from masksem_graph.data.source import Source
from masksem_graph.errors import InputError


class DemoReader(NTUReader):
    """The embedded data set, which is written into the source folder when that is empty or missing.

    Splits: ``xsub`` trains on the odd subjects, ``xview`` on cameras 2 and 3.
    """

    embedded: ClassVar[str] = "1"
    """No source is needed: `cached_store` keeps one in its cache under this number, to be raised when the files change."""
    classes = CLASSES

    def __init__(self, *, cleaning: Cleaning = "community", exclude: str | os.PathLike[str] | None = None) -> None:
        super().__init__(cleaning=cleaning, exclude=exclude)

    def sources(self, root: Path) -> Sequence[Source]:
        if root.exists() and not root.is_dir():
            raise InputError(f"{root}: is a file, expected a folder for the embedded data set")
        if not root.exists() or not any(root.iterdir()):
            write_demo(root)
        return self._files(root)

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"xsub": clips["subject"] % 2 == 1, "xview": np.isin(clips["camera"], TRAINING_CAMERAS)}
