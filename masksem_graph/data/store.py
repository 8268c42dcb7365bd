"""The store: all clips of a data set in one folder of memory-mapped arrays, ragged, without padding."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import yaml
from jaxtyping import Bool, Float32, Int64, Shaped

from masksem_graph.data.clip import Body, Clip
from masksem_graph.errors import InputError
from masksem_graph.files import write_beside
from masksem_graph.topology import Topology, parse_topology

FORMAT_VERSION = 1
DESCRIPTION = "store.yaml"
FIELDS = ("version", "format", "options", "origin", "topology", "classes", "splits", "counts")
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
            split: {"train": np.flatnonzero(mask), "test": np.flatnonzero(~mask)}
            for split, mask in zip(description["splits"], arrays["train"], strict=True)
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
    return {"frames": "<f4", "present": "|b1", "train": "|b1", "name": "<U", **dict.fromkeys(integers, "<i8")}


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
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: this file of the store is missing; prepare the store again") from None
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise InputError(f"{path}: damaged: {' '.join(str(error).split())}; prepare the store again") from None
    if not isinstance(array, np.ndarray) or not array.dtype.str.startswith(dtype):
        raise InputError(f"{path}: expected an array of {dtype}, found {getattr(array, 'dtype', type(array).__name__)}")
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
        "train": (len(description["splits"]), clips),
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
    ) -> None:
        self.path = Path(path).absolute()
        self.topology = topology
        self.description = {"format": format, "options": dict(options or {}), "origin": origin, "classes": list(classes)}
        self.splits: dict[str, Bool[np.ndarray, " clips"]] = {}
        self._clips: dict[str, list[Any]] = {name: [] for name in CLIP_FIELDS}
        self._body_offset, self._clip_offset = [0], [0]
        self._body_start: list[int] = []

    def __enter__(self) -> StoreWriter:
        refuse_foreign(self.path)
        with ExitStack() as stack:
            try:
                self._folder = stack.enter_context(write_beside(self.path))
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder.mkdir(parents=True)
                self._frames = stack.enter_context(_GrowingArray(self._folder / "frames.npy", "<f4"))
                self._present = stack.enter_context(_GrowingArray(self._folder / "present.npy", "|b1"))
            except OSError as error:
                raise self._cannot_write(error) from None
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            with self._stack:
                if error is not None:
                    raise error  # so that the folder is given up, not renamed
                self._finish()
        except OSError as problem:
            raise self._cannot_write(problem) from None

    def __len__(self) -> int:
        return len(self._clips["name"])

    def add(self, clip: Clip) -> None:
        """Append a clip with at least one body of shape [F, V, C]."""
        for body in clip.bodies:
            self._frames.append(body.frames)
            self._present.append(body.present)
            self._body_offset.append(self._body_offset[-1] + len(body.frames))
            self._body_start.append(body.start)
        self._clip_offset.append(len(self._body_start))
        for name, values in self._clips.items():
            values.append(getattr(clip, name))

    def fields(self) -> dict[str, np.ndarray]:
        """One array per field of the clips so far, as `Reader.splits` takes them."""
        return {name: np.array(values, str if name == "name" else np.int64) for name, values in self._clips.items()}

    def _finish(self) -> None:
        if not len(self):
            raise InputError(f"{self.path}: there is no clip to write a store of")
        masks = [np.asarray(mask, bool) for mask in self.splits.values()]
        arrays = self.fields() | {
            "body_offset": np.array(self._body_offset, np.int64),
            "body_start": np.array(self._body_start, np.int64),
            "clip_offset": np.array(self._clip_offset, np.int64),
            "train": np.stack(masks) if masks else np.zeros((0, len(self)), bool),
        }
        for name, array in arrays.items():
            np.save(self._folder / f"{name}.npy", array, allow_pickle=False)
        counts = {"clips": len(self), "bodies": len(self._body_start), "frames": self._body_offset[-1]}
        description = {"version": FORMAT_VERSION, **self.description, "counts": counts, "splits": list(self.splits)}
        description["topology"] = self.topology.to_dict()
        (self._folder / DESCRIPTION).write_text(yaml.safe_dump(description, sort_keys=False, width=120))

    def extra_file(self, name: str) -> Path:
        """Where to write a further file that belongs to the store."""
        return self._folder / name

    def _cannot_write(self, error: OSError) -> InputError:
        return InputError(f"{self.path}: cannot write the store: {error.strerror or error}")


def refuse_foreign(path: Path) -> None:
    """Never replace a user's own file or folder by a store.

    Raises:
        InputError: ``path`` is there, is not empty and is not a store.
    """
    if path.is_file() or (path.is_dir() and not is_store(path) and any(path.iterdir())):
        raise InputError(f"{path}: is there and is not a store, expected a new, an empty or a store's folder to write to")


class _GrowingArray:
    """A .npy file whose first axis grows by appending; its header, of constant size, is completed when it closes."""

    def __init__(self, path: Path, dtype: str) -> None:
        self.path, self.dtype = path, np.dtype(dtype)
        self.shape: tuple[int, ...] = (0,)

    def __enter__(self) -> _GrowingArray:
        self.file: BinaryIO = self.path.open("wb")
        self.file.write(bytes(len(self._header((0, 0, 0)))))
        return self

    def __exit__(self, *_: object) -> None:
        with self.file:
            self.file.seek(0)
            self.file.write(self._header(self.shape))

    def append(self, rows: np.ndarray) -> None:
        self.shape = (self.shape[0] + len(rows), *rows.shape[1:])
        self.file.write(np.ascontiguousarray(rows, self.dtype).data)

    def _header(self, shape: tuple[int, ...]) -> bytes:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": self.dtype.str, "fortran_order": False, "shape": shape})
        return header.getvalue()
