"""PKU-MMD I and II: long recordings of many actions each, cut into one clip an action."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.clip import Clip
from masksem_graph.data.readers.base import Origin, Reader, listed, whole_bodies
from masksem_graph.data.source import Part, parse_numbers, read_text_file, stamp
from masksem_graph.errors import InputError

BODIES, JOINTS = 2, 25
NUMBERS = BODIES * JOINTS * 3
CAMERAS = {"L": 1, "M": 2, "R": 3}
SKELETONS = ("skeleton", "PKU_Skeleton_Renew")
LABELS = ("label", "Train_Label_PKU_final")
SPLITS = {"subject": "xsub", "view": "xview"}
SPLIT = re.compile(r"cross[-_](subject|view)(?:[-_]v2)?\.txt")

ACTIONS = listed(
    """bow, brush hair, brush teeth, check time, cheer up, clap, cross hands in front, drink, drop, eat, fall, give object,
    wave hand, shake hands, hop, hug, jump up, kick person, kick something, phone call, pat on back, pick up, play with
    phone, point at person, point to something, punch, push, put on a hat, put into pocket, read, rub two hands, salute,
    sit down, stand up, take off a hat, take off glasses, take off jacket, take out of pocket, take a selfie, tear up
    paper, throw, back pain, chest pain, headache, neck pain, type on a keyboard, fan self, put on jacket, put on glasses,
    wipe face, write"""
)


@dataclass(frozen=True)
class Action(Part):
    """One line of a label file; ``path`` and ``name`` are that file and that line."""

    skeleton: Path  # the recording that it belongs to
    number: int  # of the line, from 1; 0 where there is no label file
    text: str


class PKUReader(Reader):
    """PKU-MMD as published: ``skeleton/NAME.txt``, ``label/NAME.txt`` and the split files beside them.

    A line of a skeleton file is a frame: two bodies of 25 joints, x, y, z in metres, zero where there is no body. A line of a
    label file is an action, which is a clip: class from 1, first frame from 0, the frame after its last, confidence. The
    second line of a split file lists the training recordings; all others are the test set. The coordinates stay as they are,
    as in the community's arrays of this set.

    Source: Liu et al., PKU-MMD: A large scale benchmark for continuous multi-modal human action understanding, 2017. The
    frames of an action are those that MAMP's scripts take (Mao et al., ICCV 2023).
    """

    topology = "ntu25"
    classes = ACTIONS
    origin: ClassVar[Origin] = "none"

    def sources(self, root: Path) -> Sequence[Action]:
        skeletons, labels = _folder(root, SKELETONS), _folder(root, LABELS)
        self.recordings = sorted({path.stem for folder in (skeletons, labels) for path in folder.glob("*.txt")})
        if not self.recordings:
            raise InputError(f"{skeletons}: holds no recording, expected NAME.txt")
        self.trained = {split: self._training_set(path) for split, path in _split_files(root).items()}
        found = []
        for name in self.recordings:
            path = labels / f"{name}.txt"
            text = read_text_file(path).decode("latin-1") if path.is_file() else ""
            lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
            for number, line in lines or [(0, "")]:
                found.append(Action(path, f"line {number}", skeletons / path.name, number, line))
        return found

    def read(self, source: Action) -> Clip:
        label, start, end = _parse_label(source)
        frames = _parse_frames(source.skeleton, start, end).reshape(end - start, BODIES, JOINTS, 3)
        recording = source.skeleton.stem
        return Clip(
            name=f"{recording}_{source.number - 1:03}",
            label=label,
            camera=CAMERAS.get(recording.rpartition("-")[2], -1),
            bodies=whole_bodies(frames.swapaxes(0, 1)),
        )

    def splits(self, clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        recordings = [str(name).rpartition("_")[0] for name in clips["name"]]
        return {split: np.isin(recordings, list(names)) for split, names in self.trained.items()}

    def files(self, root: Path) -> Sequence[Path]:
        recordings = [path for names in (SKELETONS, LABELS) for path in sorted(_folder(root, names).glob("*.txt"))]
        return [*recordings, *_split_files(root).values()]

    def _training_set(self, path: Path) -> frozenset[str]:
        lines = read_text_file(path).decode("latin-1").splitlines()
        names = [name.strip() for name in lines[1].split(",") if name.strip()] if len(lines) > 1 else []
        if not names:
            raise InputError(f"{path}: line 2: found no recording, expected the training recordings, comma-separated")
        if unknown := sorted(set(names) - set(self.recordings)):
            known = f"the {len(self.recordings)} recordings"
            raise InputError(f"{path}: line 2: found {unknown[0][:60]!r}, which is none of {known}")
        return frozenset(names)


def _folder(root: Path, names: Sequence[str]) -> Path:
    if not root.is_dir():
        raise InputError(f"{root}: no such folder, expected PKU-MMD's, with skeleton/, label/ and split files")
    found = [root / name for name in names if (root / name).is_dir()]
    found = found or sorted(path for name in names for path in root.rglob(name) if path.is_dir())
    if len(found) != 1:
        there = " and ".join(str(path.relative_to(root)) for path in found[:2]) or "none"
        raise InputError(f"{root}: found {there}, expected one folder {names[0]}/ (or {names[1]}/) in it")
    return found[0]


def _split_files(root: Path) -> dict[str, Path]:
    """Split name -> file: ``cross-subject.txt``, ``cross_view_v2.txt`` and so on, in the folder or one below it."""
    found: dict[str, Path] = {}
    for path in sorted([*root.glob("*.txt"), *root.glob("*/*.txt")]):
        if match := SPLIT.fullmatch(path.name):
            split = SPLITS[match[1]]
            if split in found:
                raise InputError(f"{root}: found {found[split].name} and {path.name}, expected one file for the split {split}")
            found[split] = path
    if not found:
        raise InputError(f"{root}: holds no split file, expected cross-subject.txt or cross-view.txt (also with _ or _v2)")
    return dict(sorted(found.items()))


def _parse_label(source: Action) -> tuple[int, int, int]:
    if not source.number:
        fault = "holds no action" if source.path.is_file() else "no such file"
        raise InputError(f"{source.path}: {fault}, expected the labels of {source.skeleton.name}")
    try:
        label, start, end = map(int, source.text.split(",")[:3])
    except ValueError:
        raise InputError(f"{source}: found {source.text[:60]!r}, expected class,start,end,confidence") from None
    if not 1 <= label <= len(ACTIONS):
        raise InputError(f"{source}: class: found {label}, expected 1 to {len(ACTIONS)}")
    if not 0 <= start < end:
        raise InputError(f"{source}: found frames {start} to {end}, expected a start from 0 and a later end")
    return label - 1, start, end


def _parse_frames(path: Path, start: int, end: int) -> Float32[np.ndarray, "F 150"]:
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected the recording that its label file belongs to")
    lines = _lines(path, stamp(path))
    if end > len(lines):
        raise InputError(f"{path}: ends after frame {len(lines)}, but an action lasts until frame {end}")
    rows = enumerate(lines[start:end], start + 1)
    frames = [parse_numbers(f"{path}: line {i}", line.decode("latin-1").split(), NUMBERS) for i, line in rows]
    return np.array(frames, np.float32)


@lru_cache(maxsize=1)
def _lines(path: Path, stamp: tuple[int, int]) -> list[bytes]:
    # The actions of a recording are read one after the other: its text is split into lines once.
    return read_text_file(path).splitlines()
