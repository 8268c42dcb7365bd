"""Run commands where no file can grow beyond a limit, as on a disk that is full: one line, and what was there stays whole.

    OMP_NUM_THREADS=1 python -m tests.faults.full

The limit is ``RLIMIT_FSIZE``: a write beyond it fails with an ``OSError``, wherever in the program it is made.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.faults.kills import whole
from tests.faults.scenarios import DONE, Scenario, command, fork, preload, scenarios

LIMITS = (0, 100, 1000, 4000, 20_000)


def attack(scenario: Scenario, limits: Sequence[int] = LIMITS) -> list[str]:
    """What went wrong, a line each."""
    faults = []
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "log.txt"
        for limit in limits:
            root = Path(place) / "work"
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(scenario.start, root)
            code, text = limited(scenario.arguments(root), log, limit)
            lines = [line for line in text.splitlines() if line.startswith("error: ")]
            if code not in (0, 2) or "Traceback" in text or (code == 2 and (len(lines) != 1 or str(root) not in lines[0])):
                faults.append(f"{limit} bytes: exit status {code}: {text[-400:]}")
            try:
                whole(root)
                scenario.check(root)
            except Exception as error:
                faults.append(f"{limit} bytes: {type(error).__name__}: {error}")
            code = fork(scenario.arguments(root), log)
            if code and not any(words in log.read_text() for words in DONE):
                faults.append(f"{limit} bytes: with room again: exit status {code}: {log.read_text()[-300:]}")
            if left := [str(path.relative_to(root)) for path in root.rglob(".*.partial")]:
                faults.append(f"{limit} bytes: left: {left}")
    return faults


def limited(arguments: Sequence[str], log: Path, limit: int) -> tuple[int, str]:
    """Exit status and output of a command that may write only so many bytes to a file; the output itself goes to a pipe."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reading)
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        code = command(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading, errors="replace") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), text


def main() -> None:
    """All scenarios, or those that are named."""
    os.environ["MPLCONFIGDIR"] = tempfile.mkdtemp()
    preload()
    failed = 0
    with tempfile.TemporaryDirectory() as base:
        os.environ["MASKSEM_GRAPH_CACHE"] = f"{base}/cache"
        for name, make in scenarios(Path(base)).items():
            if sys.argv[1:] and name not in sys.argv[1:]:
                continue
            faults = attack(make())
            failed += len(faults)
            print(f"{name}: {len(faults)} faults", *faults, sep="\n  ", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
