"""Start a command twice on one folder, in two real processes: the second is refused and told who is at it.

    OMP_NUM_THREADS=1 python -m tests.faults.two

The first is stopped (``SIGSTOP``) as soon as it holds a lock, so that it is at work however fast it is. It goes on afterwards.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.kills import whole
from tests.faults.scenarios import Scenario, scenarios

ERRORS = {"capture_output": True, "text": True, "timeout": 120, "check": False}


def attack(scenario: Scenario, root: Path) -> Iterator[str]:
    """What went wrong, a line each."""
    shutil.copytree(scenario.start, root)
    command = [sys.executable, "-m", "masksem_graph", *scenario.arguments(root)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while first.poll() is None and not any(lock.read_text() for lock in root.rglob(".*lock")):
            time.sleep(0.005)
        first.send_signal(signal.SIGSTOP)
        second = subprocess.run(command, **ERRORS)
        lines = [line for line in second.stderr.splitlines() if line.startswith("error: ")]
        if second.returncode != 2 or len(lines) != 1 or f"process {first.pid} on" not in lines[0]:
            yield f"the second: exit status {second.returncode}: {second.stderr[-300:]}"
        first.send_signal(signal.SIGCONT)
        if code := first.wait(timeout=300):
            yield f"the first: exit status {code}"
        whole(root)
        if left := [path.name for path in root.rglob(".*") if path.suffix in (".lock", ".partial", ".old")]:
            yield f"left: {left}"
    finally:
        first.kill()
        first.wait()


def main() -> None:
    """Of each kind of folder one command."""
    failed = 0
    with tempfile.TemporaryDirectory() as base:
        os.environ |= {"MASKSEM_GRAPH_CACHE": f"{base}/cache", "MPLCONFIGDIR": base}
        made = scenarios(Path(base))
        for name in ("prepare", "train", "evaluate", "convert"):
            faults = list(attack(made[name](), Path(base) / "work" / name))
            failed += len(faults)
            print(f"{name}: {len(faults)} faults", *faults, sep="\n  ", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
