"""Where lines come from: a file, a pipe, or datagrams. What waits is bounded, whoever is slow."""

import json
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeAlias
from urllib.parse import urlsplit

from masksem_graph.errors import InputError

LONGEST = 2**20
"""A line of more bytes comes in pieces, none of which is a frame."""
WAITING = 256
"""Lines that wait. A pipe's sender then waits too; of datagrams the oldest is lost."""

Arrived: TypeAlias = tuple[bytes, float]
"""A line, and when it came by `time.perf_counter`."""


def open_source(named: str, *, realtime: bool = False) -> Iterator[list[Arrived]]:
    """Lines as they come. A file gives one at a time; of anything else each list has all that wait.

    Args:
        named: ``-`` for standard input, a file, or ``udp://HOST:PORT`` to listen at.
        realtime: a file's lines come when their own times say.

    Raises:
        InputError: there is no such file, or the address cannot be listened at.
    """
    if named.startswith("udp://"):
        return _waiting(_datagrams(_listening(named)), lossy=True)
    if named == "-":
        if sys.stdin is None:
            raise InputError("--input: -: standard input is closed; expected a pipe, a file of JSON lines, or udp://HOST:PORT")
        # a stream of its own: Python aborts at its exit if a thread still reads sys.stdin's
        return _waiting(_lines(os.fdopen(sys.stdin.fileno(), "rb", closefd=False)))
    if not os.path.exists(named) or os.path.isdir(named):  # False, where Path raises: a name of 5,000 letters
        found = f"{named[:200]}: {'a folder' if os.path.isdir(named) else 'no such file'}"
        raise InputError(f"--input: {found}; expected -, a file of JSON lines, or udp://HOST:PORT")
    path = Path(named)
    lines = _lines(path.open("rb"))
    if realtime:
        return _waiting(_paced(lines))
    return ([(line, time.perf_counter())] for line in lines) if path.is_file() else _waiting(lines)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    return filter(bytes.strip, iter(lambda: stream.readline(LONGEST), b""))


def _listening(named: str) -> socket.socket:
    try:
        address = urlsplit(named)
        host, port = address.hostname or "127.0.0.1", address.port
        if not port:
            raise ValueError("no port")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        found = socket.socket(family, socket.SOCK_DGRAM)
        found.bind((host, port))
    except (OSError, ValueError) as error:
        raise InputError(f"--input: {named}: cannot be listened at: {error}; expected udp://HOST:PORT") from None
    return found


def _datagrams(listening: socket.socket) -> Iterator[bytes]:
    while True:
        yield from filter(bytes.strip, listening.recv(2**16).splitlines())


def _paced(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Lines at the pace of their own times; one without a usable time comes at once."""
    ahead: float | None = None
    for line in lines:
        try:
            due = float(json.loads(line)["t"])
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
            yield line
            continue
        now = time.monotonic()
        if ahead is None or not 0 <= due - now - ahead < 60:  # the first, a late one, or a clock that jumped
            ahead = due - now
        time.sleep(due - now - ahead)
        yield line


def _waiting(lines: Iterator[bytes], *, lossy: bool = False) -> Iterator[list[Arrived]]:
    waiting: queue.Queue[Arrived | BaseException | None] = queue.Queue(WAITING)

    def put(one: Arrived | BaseException | None) -> None:
        with suppress(queue.Empty):
            while lossy and waiting.full():
                waiting.get_nowait()
        waiting.put(one)

    def read() -> None:
        try:
            for line in lines:
                put((line, time.perf_counter()))
            put(None)
        except BaseException as error:  # it is raised where the lines are used
            put(error)

    threading.Thread(target=read, daemon=True, name="source").start()
    while True:
        found = [waiting.get()]
        while not waiting.empty():
            found.append(waiting.get())
        yield [one for one in found if isinstance(one, tuple)]
        if isinstance(found[-1], BaseException):
            raise found[-1]
        if found[-1] is None:
            return
