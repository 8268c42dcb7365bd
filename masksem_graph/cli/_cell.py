"""One cell of a sweep, in a process of its own: ``python -m masksem_graph.cli._cell FOLDER SWEEP``.

FOLDER holds ``cell.yaml``; SWEEP is the process to live and die with.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from masksem_graph.cli import main
from masksem_graph.sweep.plan import load_cell

LOOK_EVERY = 1.0  # seconds


def run(folder: Path, sweep: int) -> None:
    """Do the cell's steps that are not done yet."""
    threading.Thread(target=_leave_with, args=(sweep,), daemon=True).start()
    cell = load_cell(folder)
    for step in cell.steps:
        if not step.finished(folder):
            print(f"masksem-graph {' '.join(step.arguments)}", flush=True)
            main(step.arguments)


def _leave_with(sweep: int) -> None:
    # A sweep that is killed cannot ask anyone to stop, and who is started anew must not meet its leftovers.
    while os.getppid() == sweep:
        time.sleep(LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))
