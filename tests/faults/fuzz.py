"""Damage the files that the program reads, in every way that a seed can draw, and count what comes of it.

    OMP_NUM_THREADS=1 python -m tests.faults.fuzz --mutants 1000                        # of every kind
    OMP_NUM_THREADS=1 python -m tests.faults.fuzz last.pt --mutants 100000 --seed 1
    OMP_NUM_THREADS=1 python -m tests.faults.fuzz last.pt --first 4711 --mutants 1 --seed 1     # one again

A mutant is read by the functions that the commands use. It may be refused in one line (`InputError`), or read. Counted as
faults: any other exception, an error of several lines, more than ten seconds, more than 1 GB beside what was there before, a
crash, and, where a checksum covers the file, a value that differs from the original. Thousands are read by one process, whose
place and counts lie in shared memory: where it dies, its mutant is charged, and another process goes on behind it.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import mmap
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from masksem_graph.errors import InputError
from tests.faults.mutants import Files

HANG, MEMORY, BATCH = 10, 2**30, 25_000
ROOM = 4 * 2**30
"""Address space that a reader may ask for beside what is there; the machine is safe, and so is the count of memory."""


@dataclass
class Kind:
    """A kind of file.

    Args:
        files: what is damaged.
        read: reads it as the commands do; what it returns is compared with what the original gave.
        covered: whether a checksum covers the file, so that no change may pass.
    """

    files: Files
    read: Callable[[], Any]
    covered: bool = False


def attack(kind: Kind, first: int, mutants: int, seed: int, show: int = 3) -> tuple[Counter[str], list[str]]:
    """Read so many mutants; how often each outcome came, and examples of the faults."""
    shared = np.frombuffer(mmap.mmap(-1, 24), np.int64)  # the mutant, how many were read, how many refused
    counted: Counter[str] = Counter()
    told: list[str] = []
    end, shared[0] = first + mutants, first
    while shared[0] < end:
        reading, writing = os.pipe()
        sys.stdout.flush()
        if (child := os.fork()) == 0:
            os.close(reading)
            with os.fdopen(writing, "w") as out, open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
                _work(kind, range(shared[0], min(shared[0] + BATCH, end)), seed, shared, out)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as lines:
            faults = [json.loads(line) for line in lines]
        _, status = os.waitpid(child, 0)
        if code := os.waitstatus_to_exitcode(status):
            faults.append(("hang" if code == -signal.SIGALRM else "crash", int(shared[0]), f"ended by {code}"))
            shared[0] += 1
        for outcome, number, text in faults:
            counted[outcome] += 1
            if counted[outcome] <= show:
                told.append(f"{outcome}: mutant {number}: {text}")
    return counted + Counter(read=int(shared[1]), refused=int(shared[2])), told


def _work(kind: Kind, numbers: range, seed: int, shared: np.ndarray, out: Any) -> None:
    faulthandler.disable()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    room = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    kind.files.restore()
    original = kind.read()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    draw = random.Random()
    for number in numbers:
        draw.seed(seed << 40 | number)
        kind.files.damage(draw)
        signal.alarm(HANG + 1)
        began = time.monotonic()
        outcome, text = _outcome(kind, original)
        signal.alarm(0)
        if time.monotonic() - began > HANG:
            outcome, text = "hang", f"{time.monotonic() - began:.0f} s"
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        if grown * 1024 > MEMORY:
            outcome, text = "memory", f"{grown >> 10} MiB; {text}"
            before += grown
        if outcome in ("read", "refused"):
            shared[1 + (outcome == "refused")] += 1
        else:
            out.write(json.dumps([outcome, number, text]) + "\n")
            out.flush()
        shared[0] = number + 1


def _outcome(kind: Kind, original: Any) -> tuple[str, str]:
    try:
        found = kind.read()
    except InputError as error:
        text = str(error)
        if "\n" in text or "\x1b" in text or len(text) > 2000:
            return "bad line", repr(text)[:300]
        return "refused", ""
    except MemoryError:
        return "memory", traceback.format_exc()[-300:]
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "masksem_graph" in f.filename][-3:]
        return "traceback", f"{type(error).__name__}: {' '.join(str(error).split())[:160]} [{' '.join(own)}]"
    if kind.covered and not _same(found, original):
        return "silent change", "it was read as something else"
    return "read", ""


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return len(a) == len(b) and all(map(_same, a, b)) if isinstance(a, list | tuple) else bool(a == b)


def _seconds() -> float:
    """Of a core, by this process and those that it waited for: a busy machine makes no difference."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> None:
    """Attack the kinds that are named, or all; a line each, and examples of the faults."""
    from tests.faults.kinds import kinds

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="kinds of files; all where none is named")
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=3, help="examples of each fault")
    found = parser.parse_args()
    torch.set_num_threads(1)
    failed = False
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        table = kinds(Path(place))
        if unknown := set(found.names) - table.keys():
            parser.error(f"no kind is called {', '.join(unknown)}; there are {', '.join(table)}")
        for name in found.names or table:
            kind, began = table[name](), _seconds()
            counted, told = attack(kind, found.first, found.mutants, found.seed, found.show)
            rate = found.mutants / (_seconds() - began)
            failed = failed or bool(counted.keys() - {"read", "refused"})
            figures = ", ".join(f"{count:,} {outcome}" for outcome, count in counted.most_common())
            print(f"{name}: {found.mutants:,} mutants: {figures}; {rate:.0f} in a second of a core", flush=True)
            for line in told:
                print(f"    {line}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
