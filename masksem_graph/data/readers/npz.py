"""The community's arrays: training and test clips of one split in an .npz, padded with zeros."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from masksem_graph.data.arrays import NpzRows, npz_names
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.readers.base import Reader
from masksem_graph.data.readers.ntu import ACTIONS as NTU_ACTIONS
from masksem_graph.data.readers.pku import ACTIONS as PKU_ACTIONS
from masksem_graph.data.source import Part, stamp
from masksem_graph.errors import InputError

JOINTS = 25
PARTS = ("train", "test")
CLASSES_AT_MOST = 10_000
SPLITS = {"xsub": r"xsub|cs", "xview": r"xview|cv", "xset": r"xset|cset"}
NAMED = {len(PKU_ACTIONS): PKU_ACTIONS, 60: NTU_ACTIONS[:60], 120: NTU_ACTIONS}


@dataclass(frozen=True)
class Row(Part):
    """A row of ``x_train`` or ``x_test``.

    Args:
        part: ``train`` or ``test``.
        index: of the row.
        label: class index from 0; -1 where the row of ``y_train`` or ``y_test`` is not one-hot.
    """

    part: str
    index: int
    label: int


class NpzReader(Reader):
    """``NTU60_XSub.npz``, ``NTU120_CSet.npz``, ``PKUv1_XView.npz`` and the like: the NTU arrays cleaned and centred, as the
    scripts of CTR-GCN write them (Chen et al., ICCV 2021), PKU-MMD's as MAMP's do (Mao et al., ICCV 2023).

    ``x_train``, ``x_test`` [clips, frames, bodies*25*3] hold body after body, joint after joint; a frame of zeros is padding,
    and zeros in place of a body are its absence. ``y_train``, ``y_test`` [clips, classes] are one-hot. The split is called
    ``xsub``, ``xview`` or ``xset`` after the file's name, else ``main``. Clips have no names there, subjects or cameras
    neither: they are called ``train_00000``, ``test_00000`` and so on. One file is one split: prepare each by itself.

    Arrays need not fit in memory, compressed or not.
    """

    topology = "ntu25"

    def sources(self, root: Path) -> Sequence[Row]:
        path = _one_file(root)
        if missing := [f"{axis}_{part}" for part in PARTS for axis in "xy" if f"{axis}_{part}" not in npz_names(path)]:
            found = ", ".join(npz_names(path)[:6]) or "nothing"
            raise InputError(f"{path}: {missing[0]} is missing, found {found}; expected x_train, y_train, x_test, y_test")
        labels = {part: _labels(path, part) for part in PARTS}
        width = {part: classes for part, (_, classes) in labels.items()}
        if width["train"] != width["test"]:
            raise InputError(f"{path}: y_test: found {width['test']} classes, but y_train has {width['train']}")
        self.classes = NAMED.get(width["train"]) or tuple(f"class {i}" for i in range(width["train"]))
        words = "|".join(f"(?P<{split}>{pattern})" for split, pattern in SPLITS.items())
        named = re.search(rf"(?:^|[^a-z])(?:{words})(?:$|[^a-z])", path.stem.lower())
        self.split = (named and named.lastgroup) or "main"
        return [
            Row(path, f"x_{part}[{i}]", part, i, int(label))
            for part, (of_part, _) in labels.items()
            for i, label in enumerate(of_part)
        ]

    def read(self, source: Row) -> Clip:
        if source.label < 0:
            raise InputError(f"{source.path}: y_{source.part}[{source.index}]: found no single 1, expected a one-hot row")
        row = _rows(source.path, f"x_{source.part}", stamp(source.path))[source.index]
        with np.errstate(over="ignore"):
            frames = row.astype(np.float32)
        if np.isinf(frames).any():
            frame, column = np.argwhere(np.isinf(frames))[0]
            raise InputError(f"{source}[{frame}, {column}]: found {row[frame, column]}, expected a finite number, or NaN")
        frames = frames.reshape(len(row), -1, JOINTS, 3)
        bodies = tuple(Body(start=0, frames=body, present=np.ones(len(body), bool)) for body in frames.swapaxes(0, 1))
        return Clip(name=f"{source.part}_{source.index:05}", label=source.label, bodies=bodies)

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {self.split: np.char.startswith(clips["name"], "train_")}

    def files(self, root: Path) -> Sequence[Path]:
        return [_one_file(root)]


def _one_file(root: Path) -> Path:
    found = sorted(root.glob("*.npz")) if root.is_dir() else [root]
    if len(found) != 1 or not found[0].is_file():
        there = ", ".join(path.name for path in found[:4]) if root.is_dir() and found else "none"
        raise InputError(f"{root}: found {there}, expected one .npz; each split is a file, and a store, of its own")
    return found[0]


def _labels(path: Path, part: str) -> tuple[np.ndarray, int]:
    """Class index of each clip of a part, -1 where a row is not one-hot, and the number of classes."""
    x, y = NpzRows(path, f"x_{part}"), NpzRows(path, f"y_{part}")
    if len(x.shape) != 3 or not x.shape[1] or not x.shape[2] or x.shape[2] % (JOINTS * 3):
        raise InputError(f"{path}: x_{part}: found shape {list(x.shape)}, expected [clips, frames, bodies*{JOINTS}*3]")
    if len(y.shape) != 2 or y.shape[0] != x.shape[0] or y.shape[1] < 2:
        raise InputError(
            f"{path}: y_{part}: found shape {list(y.shape)}, expected [{x.shape[0]}, classes], one-hot rows, no class numbers"
        )
    if y.shape[1] > CLASSES_AT_MOST:
        raise InputError(f"{path}: y_{part}: found {y.shape[1]} classes, expected at most {CLASSES_AT_MOST}")
    rows = y.whole()
    one_hot = ((rows == 1).sum(1) == 1) & ((rows != 0).sum(1) == 1)
    return np.where(one_hot, rows.argmax(1), -1), y.shape[1]


@lru_cache(maxsize=2)
def _rows(path: Path, name: str, stamp: tuple[int, int]) -> NpzRows:
    # Open once: going on from row to row is cheap, starting again is not.
    return NpzRows(path, name)
