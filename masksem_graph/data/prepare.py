"""From files in any format to a store."""

import hashlib
import json
import os
import signal
import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml

from masksem_graph.console import console, progress_bars
from masksem_graph.data.clip import Clip
from masksem_graph.data.description import FORMAT_VERSION
from masksem_graph.data.preparation import Preparation
from masksem_graph.data.readers import load_reader, option_names, reader_class
from masksem_graph.data.readers.base import Origin, Reader
from masksem_graph.data.source import stamp
from masksem_graph.data.store import SKIPPED, Store, StoreWriter, is_store, open_store, refuse_foreign
from masksem_graph.errors import InputError
from masksem_graph.files import locked, write_beside

READERS_VERSION = 5
"""Raised when a reader's result changes, so that cached stores are written anew."""

CHUNK, AHEAD = 32, 4
"""Clips that are sent at once, and how many such portions, beyond one a process, may wait to be written."""
FILES_PER_WORKER = 2000
"""A process takes about a second to start: fewer files than this are read sooner without a further one."""

Result = tuple[Clip, int] | str
"""A clip and how many of its joints were filled, or what is wrong with it."""


@dataclass(frozen=True)
class Report:
    """What `prepare` did: the store's folder, its clips, place and error of the skipped ones, joints that were filled."""

    store: Path
    clips: int
    skipped: tuple[tuple[str, str], ...]
    filled: int
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
    """Read all clips of a source and write them as a store. Interrupted, it leaves what was there before.

    Args:
        format: a reader's name or dotted path, see `load_reader`.
        source: the folder or file with the data.
        output: the store's folder; an older store in its place is replaced when the new one is whole.
        workers: processes; 1 reads in this one.
        strict: stop at the first bad clip instead of skipping and listing it.
        origin, options: as of `masksem_graph.data.config.DataConfig`.

    Raises:
        InputError: there is no clip at all, or with ``strict`` the first bad one.
    """
    output = Path(output).absolute()
    refuse_foreign(output, format)
    reader = load_reader(format, **(options or {}))
    with locked(output, wait=False):
        return _write(format, reader, Path(source), output, workers=workers, strict=strict, origin=origin or reader.origin)


def _write(format: str, reader: Reader, source: Path, output: Path, *, workers: int, strict: bool, origin: Origin) -> Report:
    began = time.perf_counter()
    sources = reader.sources(source)
    preparation = Preparation(reader, reader.skeleton, origin)
    about: dict[str, Any] = {"format": format, "options": _options(reader), "origin": origin, "units": preparation.units}
    try:
        with StoreWriter(output, topology=preparation.topology, classes=reader.classes, **about) as writer:
            _fill(writer, preparation, sources, workers=workers, strict=strict)
            if not len(writer):
                raise InputError(f"{source}: none of its {len(sources)} clips can be used, the first: {writer.skipped[0][1]}")
            writer.splits = reader.splits(writer.fields())
    except BrokenProcessPool:
        raise InputError(f"{source}: a process that read it died; try the same command with fewer --workers") from None
    if reader.given:
        with write_beside(output.with_name(f"{output.name}.topology.yaml")) as partial:
            partial.write_text(yaml.safe_dump(reader.given.to_dict(), sort_keys=False, width=120), encoding="utf-8")
    report = Report(output, len(writer), tuple(writer.skipped), writer.filled, time.perf_counter() - began)
    _announce(report)
    return report


def _fill(writer: StoreWriter, preparation: Preparation, sources: Sequence[Any], *, workers: int, strict: bool) -> None:
    with progress_bars() as progress, closing(_results(preparation, sources, workers)) as results:
        bar = progress.add_task("reading", total=len(sources), note="")
        for source, result in results:
            try:
                if isinstance(result, str):
                    raise InputError(result)
                writer.add(result[0])
                writer.filled += result[1]
            except InputError as error:
                line = result if isinstance(result, str) else f"{source}: {error}"
                if strict:
                    raise InputError(line) from None
                writer.skip(str(source), line)
            progress.advance(bar)


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
        format, origin, options: as `prepare` takes them.
        source: a store, or the data; None where the format makes its own (``demo``), which then lies in the cache too.

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
    if (store := _intact(target)) is not None:
        return store
    with locked(target, wait=True):
        if (store := _intact(target)) is None:
            _say(f"preparing {root} once, into {target}")
            _write(format, reader, root, target, workers=os.cpu_count() or 1, strict=False, origin=origin)
    return store or open_store(target)


def _intact(path: Path) -> Store | None:
    """The store at a path of the cache; None where there is none, or a damaged one, which is then prepared anew."""
    if not is_store(path):
        return None
    try:
        return open_store(path)
    except InputError as error:
        _say(str(error))
        return None


def is_embedded(format: str) -> bool:
    """Whether a format makes its own source where there is none."""
    return hasattr(reader_class(format), "embedded")


def _own_source(format: str, reader: Reader) -> Path:
    recipe = getattr(reader, "embedded", None)
    if recipe is None:
        raise InputError(f"data.root: no source given, expected --data.root with a store or the data of format {format}")
    return _cache() / "sources" / f"{format}-{recipe}"


def _cache() -> Path:
    default = Path.home() / ".cache" / "masksem_graph" / "stores"
    return Path(os.environ.get("MASKSEM_GRAPH_CACHE") or default).expanduser().absolute()


def _digest(format: str, reader: Reader, source: Path, origin: Origin) -> str:
    """A hash of all that a store depends on: versions, options, the topology's content, and the files by size and time."""
    digest = hashlib.sha256(repr((FORMAT_VERSION, READERS_VERSION, format, str(source.resolve()), origin)).encode())
    digest.update(repr(sorted(_options(reader).items())).encode())
    for path in reader.files(source):
        digest.update(repr((str(path), stamp(path) if path.exists() else None)).encode())
    if reader.given or hasattr(reader, "topology"):
        digest.update(json.dumps(reader.skeleton.to_dict()).encode())
    return digest.hexdigest()[:16]


def _results(preparation: Preparation, sources: Sequence[Any], workers: int) -> Generator[tuple[Any, Result], None, None]:
    """Each source with its result, in order, never more than a few chunks ahead of who takes them."""
    workers = min(workers, -(-len(sources) // FILES_PER_WORKER))
    if workers <= 1:
        yield from ((source, _result(preparation, source)) for source in sources)
        return
    chunks = [sources[start : start + CHUNK] for start in range(0, len(sources), CHUNK)]
    ahead = workers + AHEAD
    waiting: deque[Future[list[Result]]] = deque()
    # spawn: a fork of a process that has started threads, as torch does, can hang.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker, initargs=(preparation,))
    try:
        for i in range(len(chunks) + ahead):
            if i < len(chunks):
                waiting.append(pool.submit(_read_chunk, chunks[i]))
            if i >= ahead:
                yield from zip(chunks[i - ahead], waiting.popleft().result(), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _result(preparation: Preparation, source: Any) -> Result:
    try:
        return preparation(source)
    except InputError as error:
        return str(error)


def _start_worker(preparation: Preparation) -> None:
    # Ctrl-C reaches every process of the terminal; the first one alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A reader that knows of 100,000 clips is sent once, not with every chunk.
    globals()["_preparation"] = preparation


def _read_chunk(sources: Sequence[Any]) -> list[Result]:
    return [_result(globals()["_preparation"], source) for source in sources]


def _say(line: str, style: str | None = None) -> None:
    console.print(line, style=style, soft_wrap=True, markup=False, highlight=False)


def _announce(report: Report) -> None:
    rate = (report.clips + len(report.skipped)) / max(report.seconds, 1e-9)
    _say(f"{report.clips} clips in {report.store} ({report.seconds:.1f} s, {rate:.0f} clips/s)")
    if report.filled:
        _say(f"{report.filled:,} joints were not found and were filled, see --missing")
    if report.skipped:
        clips = "1 bad clip" if len(report.skipped) == 1 else f"{len(report.skipped)} bad clips"
        _say(f"{clips} SKIPPED, listed in {report.store / SKIPPED}", "bold red")
        _say(f"the first: {report.skipped[0][1]}")
