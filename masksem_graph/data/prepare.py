"""From files in any format to a store."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from masksem_graph.console import console, progress_bars
from masksem_graph.data.cleaning import centred, present_only
from masksem_graph.data.clip import Clip
from masksem_graph.data.readers import load_reader, option_names
from masksem_graph.data.readers.base import Origin, Reader
from masksem_graph.data.skipped import SKIPPED, check_skipped, write_skipped
from masksem_graph.data.source import stamp
from masksem_graph.data.store import FORMAT_VERSION, Store, StoreWriter, is_store, open_store, refuse_foreign
from masksem_graph.errors import InputError
from masksem_graph.files import locked
from masksem_graph.topology import Topology, load_topology

READERS_VERSION = 2
"""Raised when a reader's result changes, so that cached stores are written anew."""

CHUNK, AHEAD = 32, 4
"""Clips that are sent at once, and how many such portions, beyond one a process, may wait to be written."""
FILES_PER_WORKER = 2000
"""A process takes about a second to start: fewer files than this are read sooner without a further one."""

COMMIT_SECONDS = 5.0
"""A process that is killed loses the work of this long at most."""

Result = tuple[Any, Clip | str]
"""A source, and its clip or what is wrong with it."""


@dataclass(frozen=True)
class Report:
    """What `prepare` did.

    Args:
        store: the folder.
        clips: how many are in it.
        skipped: place and error of those that are not.
        read: how many were read just now; the others were there from an interrupted run.
        seconds: wall time.
    """

    store: Path
    clips: int
    skipped: tuple[tuple[str, str], ...]
    read: int
    seconds: float


def prepare(
    format: str,
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    workers: int = os.cpu_count() or 1,
    strict: bool = False,
    origin: Origin | None = None,
    options: Mapping[str, Any] | None = None,
) -> Report:
    """Read all clips of a source and write them as a store.

    Interrupted and called again with the same arguments, it goes on where it was.

    Args:
        format: a reader's name or dotted path, see `load_reader`.
        source: the folder or file with the data.
        output: the store's folder; an older store in its place is replaced when the new one is whole.
        workers: processes; 1 reads in this one.
        strict: stop at the first bad clip instead of skipping and listing it.
        origin: ``centre`` puts the centre joint of actor 1's first present frame at zero; ``none`` leaves the coordinates;
            None does what is usual for the format.
        options: the reader's options.

    Raises:
        InputError: there is no clip at all, or with ``strict`` the first bad one.
    """
    source, output = Path(source), Path(output).absolute()
    refuse_foreign(output)
    check_skipped(output)
    reader = load_reader(format, **(options or {}))
    with locked(output, wait=False):
        report = _write(format, reader, source, output, workers=workers, strict=strict, origin=origin or reader.origin)
    _announce(report)
    return report


def _write(format: str, reader: Reader, source: Path, output: Path, *, workers: int, strict: bool, origin: Origin) -> Report:
    began = time.perf_counter()
    key = _digest(format, reader, source, origin)
    sources = reader.sources(source)
    topology = load_topology(reader.topology)
    about: dict[str, Any] = {"format": format, "options": _options(reader), "origin": origin, "classes": reader.classes}
    try:
        with StoreWriter(output, topology=topology, key=key, **about) as writer:
            before = writer.handled
            _fill(writer, _Check(reader, topology, origin), source, sources, workers=workers, strict=strict)
    except BrokenProcessPool:
        raise InputError(f"{source}: a process that read it died; the same command with fewer --workers goes on") from None
    write_skipped(output, writer.skipped)
    return Report(output, len(writer), tuple(writer.skipped), writer.handled - before, time.perf_counter() - began)


def _fill(writer: StoreWriter, check: _Check, root: Path, sources: Sequence[Any], *, workers: int, strict: bool) -> None:
    """Read what is left of the sources into the store, and find its splits."""
    try:
        if strict and writer.skipped:
            raise InputError(writer.skipped[0][1])
        with closing(_progress(check, sources, writer.handled, workers)) as results:
            _take(writer, results, strict=strict)
        if not len(writer):
            raise InputError(f"{root}: none of its {len(sources)} clips can be used, the first: {writer.skipped[0][1]}")
        writer.splits = check.reader.splits(writer.fields())
    except InputError:
        # It has to be put right in the source, and what was read of the source as it is now is of no use then.
        writer.discard()
        raise


def _take(writer: StoreWriter, results: Iterable[Result], *, strict: bool) -> None:
    committed = time.monotonic()
    for source, result in results:
        error = result if isinstance(result, str) else _added(writer, source, result)
        if error and strict:
            raise InputError(error)
        if error:
            writer.skip(str(source), error)
        if time.monotonic() - committed > COMMIT_SECONDS:
            writer.commit()
            committed = time.monotonic()


def _added(writer: StoreWriter, source: Any, clip: Clip) -> str | None:
    try:
        writer.add(clip)
    except InputError as error:
        return f"{source}: {error}"
    return None


def _options(reader: Reader) -> dict[str, Any]:
    """The reader's options as plain data, with what it found out about its source where nobody said."""
    values = {name: getattr(reader, name) for name in option_names(type(reader)) if hasattr(reader, name)}
    plain = (str, int, float, bool, type(None))
    return {name: value if isinstance(value, plain) else str(value) for name, value in values.items()}


def cached_store(
    format: str,
    source: str | os.PathLike[str] | None,
    *,
    origin: Origin | None = None,
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
    reader = load_reader(format, **(options or {}))
    # However the source is spelled, relative or by a link, it is the same one.
    root = Path(source).expanduser().resolve() if source is not None else _own_source(format, reader)
    origin = origin or reader.origin
    target = _cache() / f"{format.rpartition('.')[2]}-{_digest(format, reader, root, origin)}"
    if not is_store(target):
        with locked(target, wait=True):
            if not is_store(target):
                console.print(f"preparing {root} once, into {target}", soft_wrap=True, markup=False, highlight=False)
                _announce(_write(format, reader, root, target, workers=os.cpu_count() or 1, strict=False, origin=origin))
    return open_store(target)


def _own_source(format: str, reader: Reader) -> Path:
    recipe = getattr(reader, "embedded", None)
    if recipe is None:
        raise InputError(f"format {format!r}: no source given, expected a store or the data's folder")
    return _cache() / "sources" / f"{format}-{recipe}"


def _cache() -> Path:
    default = Path.home() / ".cache" / "masksem_graph" / "stores"
    return Path(os.environ.get("MASKSEM_GRAPH_CACHE") or default).expanduser().absolute()


def _digest(format: str, reader: Reader, source: Path, origin: Origin) -> str:
    digest = hashlib.sha256(repr((FORMAT_VERSION, READERS_VERSION, format, str(source.resolve()), origin)).encode())
    digest.update(repr(sorted(_options(reader).items())).encode())
    for path in reader.files(source):
        digest.update(repr((str(path), stamp(path) if path.exists() else None)).encode())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class _Check:
    """Reads clips that may enter the store, or finds what is wrong with them."""

    reader: Reader
    topology: Topology
    origin: Origin

    def __call__(self, source: Any) -> Clip | str:
        topology = self.topology
        try:
            clip = present_only(self.reader.read(source))
            _check_clip(source, clip, joints=len(topology), classes=len(self.reader.classes))
        except InputError as error:
            return str(error)
        if self.origin == "none":
            return clip
        return centred(clip, joint=topology.index[topology.centre], dimensions=topology.dimensions)


def _check_clip(source: Any, clip: Clip, *, joints: int, classes: int) -> None:
    for body in clip.bodies:
        if body.frames.shape[1:] != (joints, 3):
            raise InputError(f"{source}: found frames of shape {list(body.frames.shape)}, expected [F, {joints}, 3]")
        if not np.isfinite(body.frames).all():
            raise InputError(f"{source}: found NaN or infinity, expected finite coordinates")
    if not clip.bodies:
        raise InputError(f"{source}: no frame with a body, expected at least one")
    if not -1 <= clip.label < classes:
        raise InputError(f"{source}: label: found {clip.label}, expected 0 to {classes - 1}, or -1 for none")


def _progress(check: _Check, sources: Sequence[Any], done: int, workers: int) -> Generator[Result, None, None]:
    with progress_bars() as progress:
        bar = progress.add_task("reading", total=len(sources), completed=done, note="")
        for result in _results(check, sources[done:], workers):
            progress.advance(bar)
            yield result


def _results(check: _Check, sources: Sequence[Any], workers: int) -> Iterator[Result]:
    """The results in the order of the sources, never more than a few chunks ahead of who takes them."""
    workers = min(workers, -(-len(sources) // FILES_PER_WORKER))
    if workers <= 1:
        yield from ((source, check(source)) for source in sources)
        return
    chunks = (sources[i : i + CHUNK] for i in range(0, len(sources), CHUNK))
    waiting: deque[tuple[Sequence[Any], Future[list[Clip | str]]]] = deque()
    # spawn: a fork of a process that has started threads, as torch does, can hang.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker, initargs=(check,))
    try:
        for chunk in chunks:
            waiting.append((chunk, pool.submit(_read_chunk, chunk)))
            if len(waiting) > workers + AHEAD:
                yield from _pairs(*waiting.popleft())
        while waiting:
            yield from _pairs(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _pairs(chunk: Sequence[Any], future: Future[list[Clip | str]]) -> Iterator[Result]:
    return zip(chunk, future.result(), strict=True)


def _start_worker(check: _Check) -> None:
    # Ctrl-C reaches every process of the terminal; the first one alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A reader that knows of 100,000 clips is sent once, not with every chunk.
    globals()["_check"] = check


def _read_chunk(sources: Sequence[Any]) -> list[Clip | str]:
    check: _Check = globals()["_check"]
    return [check(source) for source in sources]


def _announce(report: Report) -> None:
    def say(line: str, style: str | None = None) -> None:
        console.print(line, style=style, soft_wrap=True, markup=False, highlight=False)

    rate = report.read / max(report.seconds, 1e-9)
    before = report.clips + len(report.skipped) - report.read
    earlier = f", {before} of them from an interrupted run" if before else ""
    say(f"{report.clips} clips in {report.store}{earlier} ({report.seconds:.1f} s, {rate:.0f} clips/s)")
    if report.skipped:
        clips = "1 bad clip" if len(report.skipped) == 1 else f"{len(report.skipped)} bad clips"
        say(f"{clips} SKIPPED, listed in {report.store.with_name(SKIPPED)}", "bold red")
        say(f"the first: {report.skipped[0][1]}")
