"""The store: all clips of a data set in one folder of memory-mapped arrays, ragged, without padding."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import yaml
from jaxtyping import Bool, Float32, Int64, Shaped

from masksem_graph.data.arrays import map_npy
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.journal import HEADER, GrowingArray, Journal, read_journal
from masksem_graph.errors import InputError
from masksem_graph.files import remove, sync, take_place
from masksem_graph.topology import Topology, parse_topology

FORMAT_VERSION = 2
DESCRIPTION = "store.yaml"
JOURNAL = "journal.jsonl"
FIELDS = ("version", "format", "options", "origin", "topology", "classes", "splits", "counts")
TRAIN, TEST = 1, 0
"""What ``parts`` says of a clip; -1 is neither."""
CLIP_FIELDS = ("name", "label", "subject", "camera", "setup", "length")


class Store:
    """Clips on disk, opened by `open_store`.

    ``store[i]`` is a `Clip` of fresh arrays. Whoever wants many clips at once reads the memory-mapped arrays instead:
    body b's frames are ``frames[body_offset[b]:body_offset[b + 1]]``, from frame ``body_start[b]`` of its clip on, and clip
    i's bodies are ``clip_offset[i]`` to ``clip_offset[i + 1]``.

    Shapes (total: frames of all bodies end to end):
        frames [total, V, C] float32, in the topology's units; present [total] bool;
        body_offset [bodies + 1]; body_start [bodies]; clip_offset [clips + 1];
        length (frames), label, subject, camera, setup [clips] int64; name [clips] str.
    """

    def __init__(self, *, path: Path, description: Mapping[str, Any], topology: Topology, arrays: Mapping[str, np.ndarray]):
        self.path = path
        self.topology = topology
        self.classes: tuple[str, ...] = tuple(description["classes"])
        self.format: str = description["format"]
        self.options: dict[str, Any] = description["options"]
        self.origin: str = description["origin"]
        self.counts: dict[str, int] = description["counts"]
        self.frames: Float32[np.ndarray, "total V C"] = arrays["frames"]
        self.present: Bool[np.ndarray, " total"] = arrays["present"]
        self.body_offset: Int64[np.ndarray, " bodies+1"] = arrays["body_offset"]
        self.body_start: Int64[np.ndarray, " bodies"] = arrays["body_start"]
        self.clip_offset: Int64[np.ndarray, " clips+1"] = arrays["clip_offset"]
        self.length: Int64[np.ndarray, " clips"] = arrays["length"]
        self.label: Int64[np.ndarray, " clips"] = arrays["label"]
        self.subject: Int64[np.ndarray, " clips"] = arrays["subject"]
        self.camera: Int64[np.ndarray, " clips"] = arrays["camera"]
        self.setup: Int64[np.ndarray, " clips"] = arrays["setup"]
        self.name: Shaped[np.ndarray, " clips"] = arrays["name"]
        self.splits: dict[str, dict[str, Int64[np.ndarray, " part"]]] = {
            split: {"train": np.flatnonzero(parts == TRAIN), "test": np.flatnonzero(parts == TEST)}
            for split, parts in zip(description["splits"], arrays["parts"], strict=True)
        }

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, i: int) -> Clip:
        i = range(len(self))[i]
        return Clip(
            name=str(self.name[i]),
            label=int(self.label[i]),
            subject=int(self.subject[i]),
            camera=int(self.camera[i]),
            setup=int(self.setup[i]),
            bodies=tuple(self._body(b) for b in range(self.clip_offset[i], self.clip_offset[i + 1])),
        )

    def __iter__(self) -> Iterator[Clip]:
        return (self[i] for i in range(len(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A memory map pickles as a copy of its data; a worker process opens the folder itself instead.
        return open_store, (self.path,)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}: {len(self)} clips, {self.topology.name}, {len(self.classes)} classes)"

    def _body(self, b: int) -> Body:
        part = slice(self.body_offset[b], self.body_offset[b + 1])
        return Body(start=int(self.body_start[b]), frames=np.array(self.frames[part]), present=np.array(self.present[part]))


def is_store(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` is a folder that says it is a store."""
    return (Path(path) / DESCRIPTION).is_file()


def open_store(path: str | os.PathLike[str]) -> Store:
    """Open a store; only the small arrays are read, the frames stay on disk.

    Raises:
        InputError: not a store, one of another version, half-written or damaged; the line says what is wrong with which file.
    """
    path = Path(path).absolute()
    description = _description(path / DESCRIPTION)
    topology = parse_topology(description["topology"], source_file=path / DESCRIPTION)
    arrays = {name: _load(path / f"{name}.npy", dtype) for name, dtype in _dtypes().items()}
    _check_shapes(path, description, topology, arrays)
    _check_offsets(path, arrays)
    return Store(path=path, description=description, topology=topology, arrays=arrays)


def _dtypes() -> dict[str, str]:
    integers = ("body_offset", "body_start", "clip_offset", "label", "subject", "camera", "setup", "length")
    return {"frames": "<f4", "present": "|b1", "parts": "|i1", "name": "<U", **dict.fromkeys(integers, "<i8")}


def _description(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            f"{path.parent}: not a store, expected a folder with {DESCRIPTION} that `masksem-graph prepare` wrote"
        )
    try:
        fields = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: damaged, not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(fields, dict) or "version" not in fields:
        raise InputError(f"{path}: not a store's description, expected a mapping with {', '.join(FIELDS)}")
    if fields["version"] != FORMAT_VERSION:
        raise InputError(f"{path}: version: found {fields['version']!r}, expected {FORMAT_VERSION}; prepare the store again")
    kinds = {"format": str, "options": dict, "origin": str, "topology": dict, "classes": list, "splits": list, "counts": dict}
    for name, kind in kinds.items():
        if not isinstance(fields.get(name), kind):
            raise InputError(f"{path}: {name}: expected a {kind.__name__}, found {fields.get(name)!r}")
    for name in ("clips", "bodies", "frames"):
        if type(fields["counts"].get(name)) is not int:
            raise InputError(f"{path}: counts.{name}: expected a number, found {fields['counts'].get(name)!r}")
    return fields


def _load(path: Path, dtype: str) -> np.ndarray:
    try:
        array = map_npy(path)
    except InputError as error:
        raise InputError(f"{error}; prepare the store again") from None
    if not array.dtype.str.startswith(dtype):
        raise InputError(f"{path}: expected an array of {dtype}, found {array.dtype}; prepare the store again")
    return array


def _check_shapes(path: Path, description: Mapping[str, Any], topology: Topology, arrays: Mapping[str, np.ndarray]) -> None:
    clips, bodies, total = (description["counts"][name] for name in ("clips", "bodies", "frames"))
    coordinates = arrays["frames"].shape[-1] if arrays["frames"].ndim == 3 else 3
    shapes: dict[str, tuple[int, ...]] = {
        "frames": (total, len(topology), coordinates),
        "present": (total,),
        "body_offset": (bodies + 1,),
        "body_start": (bodies,),
        "clip_offset": (clips + 1,),
        "parts": (len(description["splits"]), clips),
        **dict.fromkeys(CLIP_FIELDS, (clips,)),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            found = list(arrays[name].shape)
            raise InputError(
                f"{path / name}.npy: found shape {found}, {DESCRIPTION} says {list(shape)}; prepare the store again"
            )


def _check_offsets(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    for name, end in (("body_offset", len(arrays["present"])), ("clip_offset", len(arrays["body_start"]))):
        offset = arrays[name]
        if offset[0] != 0 or offset[-1] != end or (np.diff(offset) <= 0).any():
            raise InputError(
                f"{path / name}.npy: damaged, expected offsets that rise from 0 to {end}; prepare the store again"
            )


class StoreWriter:
    """Write a store clip by clip, in bounded memory: frames go to disk as they come.

    Used as a context manager. The store appears under ``path`` when the block ends, in place of an older store; when it
    ends in an error, what was there before is untouched.

    Args:
        path: the folder to write.
        topology: the joints of every clip.
        classes: class names by label.
        format: name of the reader, kept for information.
        options: the reader's options, kept for information.
        origin: ``centre`` or ``none``, what was done to the coordinates.
        key: of what the clips are made from. With it, what is done stays beside ``path`` when the block ends in an error or
            the process is killed, and the next writer with the same key goes on there; see `handled`.

    Attributes:
        splits: name -> 1, 0 or -1 for each clip (training, test, neither), or a mask that is true for training.
        skipped: (place, error) of the clips left out.

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
        key: str | None = None,
    ) -> None:
        self.path = Path(path).absolute()
        self.topology = topology
        self.description = {"format": format, "options": dict(options or {}), "origin": origin, "classes": list(classes)}
        self.splits: dict[str, np.ndarray] = {}
        self.skipped: list[tuple[str, str]] = []
        self.key = key
        # Without a key two processes may write at once, and the last one wins; with it there is one draft to go on with.
        self.draft = self.path.with_name(f".{self.path.name}.{os.getpid() if key is None else 'unfinished'}.partial")
        self._clips: dict[str, list[Any]] = {name: [] for name in CLIP_FIELDS}
        self._names: set[str] = set()
        self._body_offset, self._clip_offset = [0], [0]
        self._body_start: list[int] = []
        self._channels: int | None = None

    def __enter__(self) -> StoreWriter:
        refuse_foreign(self.path)
        with ExitStack() as stack:
            try:
                entries = self._open_draft()
                total = self._body_offset[-1]
                frames = GrowingArray(self.draft / "frames.npy", "<f4", (total, len(self.topology), self._channels or 0))
                self._frames = stack.enter_context(frames)
                self._present = stack.enter_context(GrowingArray(self.draft / "present.npy", "|b1", (total,)))
                self._journal = Journal(self.draft / JOURNAL, self.key or "", entries)
            except OSError as error:
                raise self._cannot_write(error) from None
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            with self._stack:
                if error is None:
                    self._finish()
                elif self.key is not None and not isinstance(error, OSError):
                    self.commit()
            if error is None:
                self._publish()
        except OSError as problem:
            error = problem
        finally:
            if self.key is None:
                remove(self.draft)
        if isinstance(error, OSError):
            raise self._cannot_write(error) from None

    def __len__(self) -> int:
        return len(self._clips["name"])

    @property
    def handled(self) -> int:
        """Clips that were added or skipped, by this writer and by those whose work it goes on with."""
        return len(self) + len(self.skipped)

    def add(self, clip: Clip) -> None:
        """Append a clip with at least one body of shape [F, V, C].

        Raises:
            InputError: a clip of this name is there, or it has another number of coordinates than the first; nothing is
                written.
        """
        if clip.name in self._names:
            raise InputError(f"a second clip called {clip.name}, expected each name once")
        channels = self._channels or clip.bodies[0].frames.shape[2]
        if wrong := [b.frames.shape[2] for b in clip.bodies if b.frames.shape[2] != channels]:
            raise InputError(f"found {wrong[0]} coordinates a joint, expected {channels}, as the clips before")
        for body in clip.bodies:
            self._frames.append(body.frames)
            self._present.append(body.present)
        entry = {name: getattr(clip, name) for name in CLIP_FIELDS}
        entry |= {"channels": channels, "bodies": [[b.start, len(b.frames)] for b in clip.bodies]}
        self._take(entry)
        self._journal.append(entry)

    def skip(self, place: str, error: str) -> None:
        """Note a clip that is left out."""
        self.skipped.append((place, error))
        self._journal.append({"skipped": [place, error]})

    def commit(self) -> None:
        """Make sure that what was added so far survives the process and the machine."""
        self._frames.sync()
        self._present.sync()
        self._journal.commit()

    def discard(self) -> None:
        """Keep nothing when the block ends in an error, although there is a key."""
        self.key = None

    def fields(self) -> dict[str, np.ndarray]:
        """One array per field of the clips so far, as `Reader.splits` takes them."""
        return {name: np.array(values, str if name == "name" else np.int64) for name, values in self._clips.items()}

    def _open_draft(self) -> list[dict[str, Any]]:
        """Make the draft's folder, or take up the one of this key; returns its journal's entries."""
        entries = read_journal(self.draft / JOURNAL, self.key) if self.key is not None else None
        if entries is not None and self._enough(entries):
            for entry in entries:
                self._take(entry)
            return entries
        remove(self.draft)
        self.draft.mkdir(parents=True)
        return []

    def _enough(self, entries: list[dict[str, Any]]) -> bool:
        """Whether the journal is whole and the draft's arrays hold all that it says."""
        clips = [entry for entry in entries if "skipped" not in entry]
        if not all({*CLIP_FIELDS, "channels", "bodies"} <= set(clip) for clip in clips):
            return False
        frames = sum(count for clip in clips for _, count in clip["bodies"])
        row = 4 * len(self.topology) * clips[0]["channels"] if clips else 0
        sizes = {"frames": frames * row, "present": frames}
        paths = {name: self.draft / f"{name}.npy" for name in sizes}
        return all(path.is_file() and path.stat().st_size >= HEADER + sizes[name] for name, path in paths.items())

    def _take(self, entry: dict[str, Any]) -> None:
        """Enter what the journal says of a clip into the tables."""
        if "skipped" in entry:
            place, error = entry["skipped"]
            self.skipped.append((place, error))
            return
        for start, count in entry["bodies"]:
            self._body_offset.append(self._body_offset[-1] + count)
            self._body_start.append(start)
        self._clip_offset.append(len(self._body_start))
        for name, values in self._clips.items():
            values.append(entry[name])
        self._names.add(entry["name"])
        self._channels = entry["channels"]

    def _finish(self) -> None:
        if not len(self):
            raise InputError(f"{self.path}: there is no clip to write a store of")
        parts = [np.asarray(parts).astype(np.int8) for parts in self.splits.values()]
        arrays = self.fields() | {
            "body_offset": np.array(self._body_offset, np.int64),
            "body_start": np.array(self._body_start, np.int64),
            "clip_offset": np.array(self._clip_offset, np.int64),
            "parts": np.stack(parts) if parts else np.zeros((0, len(self)), np.int8),
        }
        for name, array in arrays.items():
            np.save(self.draft / f"{name}.npy", array, allow_pickle=False)
        counts = {"clips": len(self), "bodies": len(self._body_start), "frames": self._body_offset[-1]}
        counts["skipped"] = len(self.skipped)
        description = {"version": FORMAT_VERSION, **self.description, "counts": counts, "splits": list(self.splits)}
        description["topology"] = self.topology.to_dict()
        (self.draft / DESCRIPTION).write_text(yaml.safe_dump(description, sort_keys=False, width=120))

    def _publish(self) -> None:
        for path in self.draft.iterdir():
            sync(path)
        take_place(self.draft, self.path)
        sync(self.path.parent)
        # Not before: what is killed in between can still go on.
        (self.path / JOURNAL).unlink()

    def _cannot_write(self, error: OSError) -> InputError:
        kept = self.key is not None and (self.draft / JOURNAL).is_file()
        onward = f"; what is done stays in {self.draft}, and the same command goes on with it" if kept else ""
        return InputError(f"{self.path}: cannot write the store: {error.strerror or error}{onward}")


def refuse_foreign(path: Path) -> None:
    """Never replace a user's own file or folder by a store.

    Raises:
        InputError: ``path`` is there, is not empty and is not a store.
    """
    if path.is_file() or (path.is_dir() and not is_store(path) and any(path.iterdir())):
        raise InputError(f"{path}: is there and is not a store, expected a new, an empty or a store's folder to write to")
