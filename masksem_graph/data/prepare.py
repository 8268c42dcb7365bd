"""From files in any format to a store."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from masksem_graph.data.cleaning import centred, present_only
from masksem_graph.data.clip import Clip
from masksem_graph.data.readers import load_reader
from masksem_graph.data.readers.base import Reader
from masksem_graph.data.store import FORMAT_VERSION, Store, StoreWriter, is_store, open_store, refuse_foreign
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology, load_topology

READERS_VERSION = 1
"""Raised when a reader's result changes, so that cached stores are written anew."""

SKIPPED = "skipped.csv"
"""Lies in the store's folder and lists the files that are not in the store, and why."""

CHUNK = 32
FILES_PER_WORKER = 2000
"""A process takes about a second to start: fewer files than this are read sooner without a further one."""

Origin = Literal["centre", "none"]
Skipped = tuple[Path, str]


@dataclass(frozen=True)
class Report:
    """What `prepare` did.

    Args:
        store: the folder.
        clips: how many are in it.
        skipped: the bad files, each with its error.
        seconds: wall time.
    """

    store: Path
    clips: int
    skipped: tuple[Skipped, ...]
    seconds: float


def prepare(
    format: str,
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    workers: int = os.cpu_count() or 1,
    strict: bool = False,
    origin: Origin = "centre",
    options: Mapping[str, Any] | None = None,
) -> Report:
    """Read all clips of a source and write them as a store.

    Args:
        format: a reader's name or dotted path, see `load_reader`.
        source: the folder or file with the data.
        output: the store's folder; an older store in its place is replaced when the new one is whole.
        workers: processes; 1 reads in this one.
        strict: stop at the first bad clip instead of skipping and listing it.
        origin: ``centre`` puts the centre joint of actor 1's first present frame at zero; ``none`` leaves the coordinates.
        options: the reader's options.

    Raises:
        InputError: there is no clip at all, or with ``strict`` the first bad one.
    """
    report = _write(format, Path(source), Path(output), workers=workers, strict=strict, origin=origin, options=options or {})
    _announce(report, report.store)
    return report


def _write(
    format: str, source: Path, output: Path, *, workers: int, strict: bool, origin: Origin, options: Mapping[str, Any]
) -> Report:
    began = time.perf_counter()
    refuse_foreign(output.absolute())
    reader = load_reader(format, **options)
    sources = reader.sources(source)
    check = _Check(reader, origin)
    skipped: list[Skipped] = []
    names: set[str] = set()
    plain = {name: str(value) if isinstance(value, os.PathLike) else value for name, value in options.items()}
    about: dict[str, Any] = {
        "topology": check.topology,
        "classes": reader.classes,
        "format": format,
        "options": plain,
        "origin": origin,
    }
    with StoreWriter(output, **about) as writer, closing(_progress(check, sources, workers)) as results:
        for path, result in results:
            if isinstance(result, Clip) and result.name in names:
                result = f"{path}: a second clip called {result.name}, expected each name once"
            if isinstance(result, Clip):
                writer.add(result)
                names.add(result.name)
            elif strict:
                raise InputError(result)
            else:
                skipped.append((path, result))
        if not names:
            raise InputError(f"{source}: none of its {len(sources)} files can be used, the first: {skipped[0][1]}")
        writer.splits = reader.splits(writer.fields())
        _write_skipped(writer.extra_file(SKIPPED), skipped)
    return Report(output.absolute(), len(names), tuple(skipped), time.perf_counter() - began)


def cached_store(
    format: str,
    source: str | os.PathLike[str] | None,
    *,
    origin: Origin = "centre",
    options: Mapping[str, Any] | None = None,
) -> Store:
    """The store of a source: itself if it is one, else one that is prepared at the first call and found again later.

    It lies in ``$MASKSEM_GRAPH_CACHE``, or in ``~/.cache/masksem_graph/stores``, under a name made of the format and a hash of
    everything that it depends on.

    Args:
        format: a reader's name or dotted path, see `load_reader`.
        source: a store, or the data; None where the format makes its own (``demo``), which then lies in the cache too.
        origin: as `prepare` takes it.
        options: the reader's options.

    Raises:
        InputError: as `open_store` and `prepare`.
    """
    if source is not None and is_store(Path(source).expanduser()):
        return open_store(Path(source).expanduser())
    options = options or {}
    reader = load_reader(format, **options)
    root = Path(source).expanduser() if source is not None else _own_source(format, reader)
    digest = _digest(root, reader.sources(root), origin, options)
    target = _cache() / f"{format.rpartition('.')[2]}-{digest}"
    if not is_store(target):
        _console().print(f"preparing {root} once, into {target}", soft_wrap=True)
        mine = target.with_name(f".{target.name}.{os.getpid()}")
        report = _write(format, root, mine, workers=os.cpu_count() or 1, strict=False, origin=origin, options=options)
        try:
            os.rename(mine, target)
        except OSError:
            # A folder with content is never replaced by a rename: another process was first, and its store is as good.
            shutil.rmtree(mine, ignore_errors=True)
        _announce(report, target)
    return open_store(target)


def _own_source(format: str, reader: Reader) -> Path:
    recipe = getattr(reader, "embedded", None)
    if recipe is None:
        raise InputError(f"format {format!r}: no source given, expected a store or the data's folder")
    return _cache() / "sources" / f"{format}-{recipe}"


def _cache() -> Path:
    default = Path.home() / ".cache" / "masksem_graph" / "stores"
    return Path(os.environ.get("MASKSEM_GRAPH_CACHE") or default).expanduser().absolute()


def _digest(source: Path, sources: Sequence[Path], origin: str, options: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(repr((FORMAT_VERSION, READERS_VERSION, str(source.resolve()), origin)).encode())
    for name, value in sorted(options.items()):
        path = Path(value) if isinstance(value, str | os.PathLike) else None
        digest.update(repr((name, str(value), _stamp(path) if path and path.is_file() else None)).encode())
    for path in sources:
        digest.update(repr((str(path), _stamp(path))).encode())
    return digest.hexdigest()[:16]


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class _Check:
    """Reads one file into a clip that may enter the store, or into what is wrong with it."""

    reader: Reader
    origin: Origin

    @property
    def topology(self) -> Topology:
        return load_topology(self.reader.topology)

    def __call__(self, paths: Sequence[Path]) -> list[tuple[Path, Clip | str]]:
        topology = self.topology
        return [(path, self._clip_or_error(path, topology)) for path in paths]

    def _clip_or_error(self, path: Path, topology: Topology) -> Clip | str:
        try:
            clip = present_only(self.reader.read(path))
            _check_clip(path, clip, joints=len(topology), classes=len(self.reader.classes))
        except InputError as error:
            return str(error)
        return centred(clip, joint=topology.index[topology.centre]) if self.origin == "centre" else clip


def _check_clip(path: Path, clip: Clip, *, joints: int, classes: int) -> None:
    if not clip.bodies:
        raise InputError(f"{path}: no frame with a body, expected at least one")
    for body in clip.bodies:
        if body.frames.ndim != 3 or body.frames.shape[1] != joints:
            raise InputError(f"{path}: found frames of shape {list(body.frames.shape)}, expected [F, {joints}, C]")
        if not np.isfinite(body.frames).all():
            raise InputError(f"{path}: found NaN or infinity, expected finite coordinates")
    if not -1 <= clip.label < classes:
        raise InputError(f"{path}: label: found {clip.label}, expected 0 to {classes - 1}, or -1 for none")


def _results(check: _Check, sources: Sequence[Path], workers: int) -> Iterator[tuple[Path, Clip | str]]:
    """The results in the order of the sources, never more than a few chunks ahead of who takes them."""
    chunks = [sources[i : i + CHUNK] for i in range(0, len(sources), CHUNK)]
    workers = min(workers, -(-len(sources) // FILES_PER_WORKER))
    if workers <= 1:
        for chunk in chunks:
            yield from check(chunk)
        return
    waiting: deque[Future[list[tuple[Path, Clip | str]]]] = deque()
    try:
        # spawn: a fork of a process that has started threads, as torch does, can hang.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for chunk in chunks:
                waiting.append(pool.submit(check, chunk))
                if len(waiting) > 4 * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
    except BrokenProcessPool:
        raise InputError(f"a worker process died while reading {sources[0].parent}; try fewer workers") from None


def _progress(check: _Check, sources: Sequence[Path], workers: int) -> Generator[tuple[Path, Clip | str], None, None]:
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=_console()) as progress:
        yield from progress.track(_results(check, sources, workers), total=len(sources))


class _Rate(ProgressColumn):
    """Files per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.0f} files/s", style="progress.data.speed")


def _write_skipped(path: Path, skipped: Sequence[Skipped]) -> None:
    if skipped:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("file", "error"), *skipped])


def _announce(report: Report, store: Path) -> None:
    console = _console()
    rate = (report.clips + len(report.skipped)) / max(report.seconds, 1e-9)
    console.print(
        f"{report.clips} clips in {store} ({report.seconds:.1f} s, {rate:.0f} files/s)", soft_wrap=True, markup=False
    )
    if report.skipped:
        files = "1 bad file" if len(report.skipped) == 1 else f"{len(report.skipped)} bad files"
        console.print(f"{files} SKIPPED, listed in {store / SKIPPED}", style="bold red", soft_wrap=True, markup=False)
        console.print(f"the first: {report.skipped[0][1]}", soft_wrap=True, markup=False)


def _console() -> Console:
    return Console(stderr=True, highlight=False)
