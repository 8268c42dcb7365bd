"""The store: all clips of a data set in one folder of memory-mapped arrays, ragged, without padding."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from masksem_graph.data.arrays import GrowingArray, map_npy
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.description import AGAIN, ARRAYS, DESCRIPTION, StoreDescription, read_description
from masksem_graph.errors import InputError
from masksem_graph.files import digest, followed, write_beside
from masksem_graph.topology import Topology

TRAIN, TEST = 1, 0
"""What ``parts`` says of a clip; -1 is neither."""
CLIP_FIELDS = ("name", "label", "subject", "camera", "setup", "length")
TABLES = ("body_offset", "body_start", "clip_offset")
LARGEST = 1e12
"""No coordinate is; its square is still a float32's."""
SKIPPED = "skipped.csv"
"""Lists the clips that are not in the store, and why."""


class Store:
    """Clips on disk, opened by `open_store`.

    ``store[i]`` is a `Clip` of fresh arrays. Whoever wants many clips at once reads the memory-mapped arrays instead:
    body b's frames are ``frames[body_offset[b]:body_offset[b + 1]]``, from frame ``body_start[b]`` of its clip on, and clip
    i's bodies are ``clip_offset[i]`` to ``clip_offset[i + 1]``.

    What `StoreDescription` says is here by the same names: topology, classes, format, options, origin, units, dimensions,
    counts, fingerprint. ``splits[name]`` has the positions of the ``train`` and ``test`` clips.

    Shapes (total: frames of all bodies end to end):
        frames [total, V, C] float32, in ``units``; present [total] bool;
        body_offset [bodies + 1]; body_start [bodies]; clip_offset [clips + 1];
        length (frames), label, subject, camera, setup [clips] int64; name [clips] str.
    """

    def __init__(self, *, path: Path, description: StoreDescription, arrays: Mapping[str, np.ndarray]) -> None:
        self.path, self.description = path, description
        self.topology, self.classes, self.counts = description.topology, description.classes, description.counts
        self.format, self.options = description.format, description.options
        self.origin, self.units, self.dimensions = description.origin, description.units, description.topology.dimensions
        self.frames, self.present = arrays["frames"], arrays["present"]
        self.body_offset, self.body_start, self.clip_offset = (arrays[name] for name in TABLES)
        self.name, self.label, self.subject, self.camera, self.setup, self.length = (arrays[name] for name in CLIP_FIELDS)
        self.splits: dict[str, dict[str, Int64[np.ndarray, " part"]]] = {
            split: {"train": np.flatnonzero(parts == TRAIN), "test": np.flatnonzero(parts == TEST)}
            for split, parts in zip(description.splits, arrays["parts"], strict=True)
        }

    @property
    def fingerprint(self) -> str:
        """Of all that the store holds; made when somebody asks, since it takes longer than to classify a clip in memory."""
        return self.description.fingerprint

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, i: int) -> Clip:
        i = range(len(self))[i]
        bodies = tuple(self._body(b) for b in range(self.clip_offset[i], self.clip_offset[i + 1]))
        numbers = {name: int(getattr(self, name)[i]) for name in ("label", "subject", "camera", "setup")}
        return Clip(name=str(self.name[i]), bodies=bodies, **numbers)

    def __iter__(self) -> Iterator[Clip]:
        return (self[i] for i in range(len(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A memory map pickles as a copy of its data; a worker process opens the folder itself instead.
        return open_store, (self.path, False)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}: {len(self)} clips, {self.topology.name}, {len(self.classes)} classes)"

    def _body(self, b: int) -> Body:
        part = slice(self.body_offset[b], self.body_offset[b + 1])
        return Body(start=int(self.body_start[b]), frames=np.array(self.frames[part]), present=np.array(self.present[part]))


def is_store(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` is a folder that says it is a store."""
    return (Path(path) / DESCRIPTION).is_file()


def open_store(path: str | os.PathLike[str], verify: bool | None = None) -> Store:
    """Open a store; its frames stay on disk and are read through a memory map.

    Args:
        path: the store's folder.
        verify: whether to hold the frames against their checksum, which reads them once (about half a second a GiB); the
            other files always are. Left out, it is done once in a process, unless ``$MASKSEM_GRAPH_VERIFY`` is 0.

    Raises:
        InputError: not a store, one of another version, half-written, changed or damaged.
    """
    path = Path(path).absolute()
    description = read_description(path / DESCRIPTION)
    arrays = {name: _load(path / f"{name}.npy", dtype) for name, dtype in ARRAYS.items()}
    _check_shapes(path, description, arrays)
    _check_checksums(path, description.checksums, os.environ.get("MASKSEM_GRAPH_VERIFY") != "0" if verify is None else verify)
    _check_tables(path, description, arrays)
    return Store(path=path, description=description, arrays=arrays)


def _load(path: Path, dtype: str) -> np.ndarray:
    try:
        array = map_npy(path)
    except InputError as error:
        raise InputError(f"{error}; {AGAIN}") from None
    if not array.dtype.str.startswith(dtype):
        raise InputError(f"{path}: expected an array of {dtype}, found {array.dtype}; {AGAIN}")
    return array


def _check_shapes(path: Path, description: StoreDescription, arrays: Mapping[str, np.ndarray]) -> None:
    clips, bodies, total = (description.counts[name] for name in ("clips", "bodies", "frames"))
    coordinates = arrays["frames"].shape[-1] if arrays["frames"].ndim == 3 else 3
    shapes: dict[str, tuple[int, ...]] = {"frames": (total, len(description.topology), coordinates), "present": (total,)}
    shapes |= {"body_offset": (bodies + 1,), "body_start": (bodies,), "clip_offset": (clips + 1,)}
    shapes |= {"parts": (len(description.splits), clips), **dict.fromkeys(CLIP_FIELDS, (clips,))}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            found = list(arrays[name].shape)
            raise InputError(f"{path / name}.npy: found shape {found}, {DESCRIPTION} says {list(shape)}; {AGAIN}")


_verified: set[tuple[Any, ...]] = set()


def _check_checksums(path: Path, checksums: Mapping[str, str], verify: bool) -> None:
    for name, expected in checksums.items():
        file = path / f"{name}.npy"
        status = file.stat()
        key = (str(file), expected, status.st_ino, status.st_size, status.st_mtime_ns)
        if name == "frames" and (not verify or key in _verified):
            continue
        if digest(file) != expected:
            raise InputError(f"{file}: was changed or damaged after it was written: its checksum does not fit; {AGAIN}")
        if name == "frames":
            _check_frames(file)
            # A file that was written just now can change once more under the same time.
            if time.time_ns() - status.st_mtime_ns > 2e9:
                _verified.add(key)


def _check_frames(file: Path, portion: int = 2**16) -> None:
    frames = np.load(file, mmap_mode="r")
    for start in range(0, len(frames), portion):
        if not (np.abs(frames[start : start + portion]) < LARGEST).all():
            raise InputError(f"{file}: found a coordinate that is not finite or beyond {LARGEST:g}; {AGAIN}")


def _check_tables(path: Path, description: StoreDescription, arrays: Mapping[str, np.ndarray]) -> None:
    def require(right: Any, name: str, expected: str) -> None:
        if not np.all(right):
            raise InputError(f"{path / name}.npy: damaged, expected {expected}; {AGAIN}")

    for name, end in (("body_offset", len(arrays["present"])), ("clip_offset", len(arrays["body_start"]))):
        offset = arrays[name]
        rises = offset[0] == 0 and offset[-1] == end and (np.diff(offset) > 0).all()
        require(rises, name, f"offsets that rise from 0 to {end}")
    ends = arrays["body_start"] + np.diff(arrays["body_offset"])
    require(arrays["body_start"] >= 0, "body_start", "frames from 0")
    require(arrays["length"] == np.maximum.reduceat(ends, arrays["clip_offset"][:-1]), "length", "each clip's last frame")
    classes = len(description.classes)
    require((arrays["label"] >= -1) & (arrays["label"] < classes), "label", f"labels from 0 to {classes - 1}, or -1")
    require(np.isin(arrays["parts"], (-1, 0, 1)), "parts", "1, 0 or -1")
    require(len(set(arrays["name"].tolist())) == len(arrays["name"]), "name", "each clip's name once")
    require(description.topology.dimensions <= arrays["frames"].shape[2] <= 3, "frames", "2 or 3 coordinates")


def store_of(
    clips: Sequence[Clip],
    topology: Topology,
    *,
    origin: str = "none",
    units: str | None = None,
    classes: tuple[str, ...] = ("unknown",),
) -> Store:
    """A store that is nowhere on disk, so that clips in memory go through the very loader that stores go through.

    Each clip has at least one body. The rest is as of `StoreDescription`; the units are the topology's where omitted.
    """
    bodies = [body for clip in clips for body in clip.bodies]
    arrays = {
        "frames": np.concatenate([body.frames for body in bodies]),
        "present": np.concatenate([body.present for body in bodies]),
        "body_offset": np.cumsum([0, *(len(body.frames) for body in bodies)]),
        "body_start": np.array([body.start for body in bodies], np.int64),
        "clip_offset": np.cumsum([0, *(len(clip.bodies) for clip in clips)]),
        "parts": np.zeros((0, len(clips)), np.int8),
        **_fields({name: [getattr(clip, name) for clip in clips] for name in CLIP_FIELDS}),
    }
    description = StoreDescription(topology=topology, classes=classes, origin=origin, units=units or topology.units)
    return Store(path=Path("memory"), description=description, arrays=arrays)


def _fields(values: Mapping[str, list[Any]]) -> dict[str, np.ndarray]:
    return {name: np.array(column, str if name == "name" else np.int64) for name, column in values.items()}


class StoreWriter:
    """Write a store clip by clip, in bounded memory: frames go to disk as they come.

    Used as a context manager. The store appears under ``path`` when the block ends, in place of an older store. When the
    block ends in an error or the process dies, what was there before is untouched; what a dead process left beside it is
    removed by the next writer.

    Args:
        path: the folder to write.
        topology: the joints of every clip.
        classes, format, options, origin, units: as of `StoreDescription`; the topology's units where omitted.

    Attributes:
        splits: name -> 1, 0 or -1 for each clip (training, test, neither), or a mask that is true for training.
        skipped: (place, error) of the clips left out.
        filled: how many joints were not found and were filled.

    Raises:
        InputError: ``path`` holds something else than a store, the disk is full, or no clip was added.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        topology: Topology,
        classes: tuple[str, ...],
        format: str = "",
        options: Mapping[str, Any] | None = None,
        origin: str = "none",
        units: str | None = None,
    ) -> None:
        self.path = followed(Path(path).absolute())
        self.topology = topology
        self._about: dict[str, Any] = {"classes": classes, "format": format, "options": dict(options or {}), "origin": origin}
        self._about["units"] = units or topology.units
        self._classes = len(classes)
        self.splits: dict[str, np.ndarray] = {}
        self.skipped: list[tuple[str, str]] = []
        self.filled = 0
        self._clips: dict[str, list[Any]] = {name: [] for name in CLIP_FIELDS}
        self._names: set[str] = set()
        self._body_offset, self._clip_offset = [0], [0]
        self._body_start: list[int] = []
        self._channels: int | None = None

    def __enter__(self) -> StoreWriter:
        refuse_foreign(self.path)
        with ExitStack() as stack:
            self._draft = stack.enter_context(write_beside(self.path))
            self._draft.mkdir()
            stack.push(self._finish)
            self._frames = stack.enter_context(GrowingArray(self._draft / "frames.npy", "<f4", (len(self.topology), 0)))
            self._present = stack.enter_context(GrowingArray(self._draft / "present.npy", "|b1", ()))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *fault: Any) -> None:
        self._stack.__exit__(*fault)

    def __len__(self) -> int:
        return len(self._clips["name"])

    def add(self, clip: Clip) -> None:
        """Append a clip with at least one body of shape [F, V, C].

        Raises:
            InputError: a clip of this name is there, its label is not one of the classes, or it has another number of
                coordinates than the first, or one that is not finite; nothing is written.
        """
        if clip.name in self._names:
            raise InputError(f"a second clip called {clip.name}, expected each name once")
        if not -1 <= clip.label < self._classes:
            raise InputError(f"label: found {clip.label}, expected 0 to {self._classes - 1}, or -1 for none")
        channels = self._channels or clip.bodies[0].frames.shape[2]
        if wrong := [b.frames.shape[2] for b in clip.bodies if b.frames.shape[2] != channels]:
            raise InputError(f"found {wrong[0]} coordinates a joint, expected {channels}, as the clips before")
        if not all((np.abs(b.frames) < LARGEST).all() for b in clip.bodies):
            raise InputError(f"found a coordinate that is not finite or beyond {LARGEST:g}")
        self._channels = channels
        for body in clip.bodies:
            self._frames.append(body.frames)
            self._present.append(body.present)
            self._body_offset.append(self._body_offset[-1] + len(body.frames))
            self._body_start.append(body.start)
        self._clip_offset.append(len(self._body_start))
        for name, values in self._clips.items():
            values.append(getattr(clip, name))
        self._names.add(clip.name)

    def skip(self, place: str, error: str) -> None:
        """Note a clip that is left out."""
        self.skipped.append((place, error))

    def fields(self) -> dict[str, np.ndarray]:
        """One array per field of the clips so far, as `Reader.splits` takes them."""
        return _fields(self._clips)

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        if not len(self):
            raise InputError(f"{self.path}: there is no clip to write a store of")
        parts = [np.asarray(parts).astype(np.int8) for parts in self.splits.values()]
        tables = zip(TABLES, (self._body_offset, self._body_start, self._clip_offset), strict=True)
        arrays = self.fields() | {name: np.array(table, np.int64) for name, table in tables}
        arrays["parts"] = np.stack(parts) if parts else np.zeros((0, len(self)), np.int8)
        for name, array in arrays.items():
            np.save(self._draft / f"{name}.npy", array, allow_pickle=False)
        if self.skipped:
            with (self._draft / SKIPPED).open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
                csv.writer(file).writerows([("file", "error"), *self.skipped])
        counts = {"clips": len(self), "bodies": len(self._body_start), "frames": self._body_offset[-1]}
        description = StoreDescription(
            topology=self.topology,
            splits=tuple(self.splits),
            counts=counts | {"skipped": len(self.skipped), "filled": self.filled},
            checksums={name: digest(self._draft / f"{name}.npy") for name in ARRAYS},
            **self._about,
        )
        description.write(self._draft / DESCRIPTION)
        read_description(self._draft / DESCRIPTION)


def refuse_foreign(path: Path, format: str | None = None) -> None:
    """Raise `InputError` where ``path`` is there and no store, or one of another ``format``: it is never replaced by one."""
    if path.is_file() or (path.is_dir() and not is_store(path) and any(path.iterdir())):
        raise InputError(f"{path}: is there and is not a store, expected a new, an empty or a store's folder to write to")
    before = None
    with suppress(InputError):  # a damaged one is prepared again
        before = read_description(path / DESCRIPTION).format
    if format and before not in (None, format):
        raise InputError(f"{path}: holds a store of {before or 'no format'}, expected another folder for one of {format}")
