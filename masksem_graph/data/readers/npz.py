"""The community's arrays: training and test clips of one split in an .npz, padded with zeros."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from masksem_graph.data.arrays import NpzRows, as_float32, npz_names
from masksem_graph.data.clip import Clip
from masksem_graph.data.readers.base import Reader, one_file, whole_bodies
from masksem_graph.data.readers.ntu import ACTIONS as NTU_ACTIONS
from masksem_graph.data.readers.pku import ACTIONS as PKU_ACTIONS
from masksem_graph.data.source import Part, stamp
from masksem_graph.errors import InputError

JOINTS = 25
CLASSES_AT_MOST = 10_000
SPLIT = re.compile(r"(?:^|[^a-z])(?:(?P<xsub>xsub|cs)|(?P<xview>xview|cv)|(?P<xset>xset|cset))(?:$|[^a-z])")
NAMED = {len(PKU_ACTIONS): PKU_ACTIONS, 60: NTU_ACTIONS[:60], 120: NTU_ACTIONS}


@dataclass(frozen=True)
class Row(Part):
    """A row of ``x_train`` or ``x_test``; its label is -1 where the row of ``y_train`` or ``y_test`` is not one-hot."""

    part: str
    index: int
    label: int


class NpzReader(Reader):
    """``NTU60_XSub.npz``, ``NTU120_CSet.npz``, ``PKUv1_XView.npz`` and the like: the NTU arrays cleaned and centred, as the
    scripts of CTR-GCN write them (Chen et al., ICCV 2021), PKU-MMD's as MAMP's do (Mao et al., ICCV 2023).

    ``x_train``, ``x_test`` [clips, frames, bodies*25*3] hold body after body, joint after joint; a frame of zeros is padding,
    and zeros in place of a body are its absence. ``y_train``, ``y_test`` [clips, classes] are one-hot. Clips have no names:
    they are called ``train_00000`` and so on. Arrays need not fit in memory, compressed or not.
    """

    topology = "ntu25"

    def sources(self, root: Path) -> Sequence[Row]:
        path = one_file(root, ".npz")
        names = npz_names(path)
        if missing := [name for name in ("x_train", "y_train", "x_test", "y_test") if name not in names]:
            found = ", ".join(names[:6]) or "nothing"
            raise InputError(f"{path}: {missing[0]} is missing, found {found}; expected x_train, y_train, x_test, y_test")
        (train, classes), (test, tested) = _labels(path, "train"), _labels(path, "test")
        if classes != tested:
            raise InputError(f"{path}: y_test: found {tested} classes, but y_train has {classes}")
        self.classes = NAMED.get(classes) or tuple(f"class {i}" for i in range(classes))
        named = SPLIT.search(path.stem.lower())
        self.split = (named and named.lastgroup) or "main"
        return [
            Row(path, f"x_{part}[{i}]", part, i, label)
            for part, labels in (("train", train), ("test", test))
            for i, label in enumerate(labels)
        ]

    def read(self, source: Row) -> Clip:
        if source.label < 0:
            raise InputError(f"{source.path}: y_{source.part}[{source.index}]: found no single 1, expected a one-hot row")
        row = _rows(source.path, f"x_{source.part}", stamp(source.path))[source.index]
        frames = as_float32(str(source), row).reshape(len(row), -1, JOINTS, 3)
        name = f"{source.part}_{source.index:05}"
        return Clip(name=name, label=source.label, bodies=whole_bodies(frames.swapaxes(0, 1)))

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {self.split: np.char.startswith(clips["name"], "train_")}

    def files(self, root: Path) -> Sequence[Path]:
        return [one_file(root, ".npz")]


def _labels(path: Path, part: str) -> tuple[list[int], int]:
    """Class index of each clip of a part, -1 where a row is not one-hot, and the number of classes."""
    x, y = NpzRows(path, f"x_{part}"), NpzRows(path, f"y_{part}")
    if len(x.shape) != 3 or not x.shape[1] or not x.shape[2] or x.shape[2] % (JOINTS * 3):
        raise InputError(f"{x.place}: found shape {list(x.shape)}, expected [clips, frames, bodies*{JOINTS}*3]")
    if len(y.shape) != 2 or y.shape[0] != x.shape[0] or y.shape[1] < 2:
        expected = f"[{x.shape[0]}, classes], one-hot rows, no class numbers"
        raise InputError(f"{y.place}: found shape {list(y.shape)}, expected {expected}")
    if y.shape[1] > CLASSES_AT_MOST:
        raise InputError(f"{y.place}: found {y.shape[1]} classes, expected at most {CLASSES_AT_MOST}")
    rows = y.whole()
    one_hot = ((rows == 1).sum(1) == 1) & ((rows != 0).sum(1) == 1)
    return np.where(one_hot, rows.argmax(1), -1).tolist(), y.shape[1]


@lru_cache(maxsize=2)
def _rows(path: Path, name: str, stamp: tuple[int, int]) -> NpzRows:
    # Open once: going on from row to row is cheap, starting again is not.
    return NpzRows(path, name)
