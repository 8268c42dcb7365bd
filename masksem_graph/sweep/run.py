"""Running cells: several at once, each in its own process, from wherever the last start left off."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from masksem_graph.console import console
from masksem_graph.errors import InputError
from masksem_graph.sweep.plan import Cell
from masksem_graph.training.metrics import read_metrics
from masksem_graph.training.signals import StopRequest

GIBIBYTE = 1 << 30
CPU_JOB, GPU_JOB = 2 * GIBIBYTE, 6 * GIBIBYTE  # memory that a run at `small` scale is reckoned with
LOOK_EVERY = 0.25  # seconds


class Interrupted(Exception):
    """A signal asked the sweep to stop; every run under way has saved itself."""

    def __init__(self, signal: int) -> None:
        super().__init__("stopped")
        self.signal = signal


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def room(*, accelerator: str) -> int:
    """How many runs have room at once: a core and some memory each, on the device and beside it.

    Args:
        accelerator: as ``device.accelerator``; ``auto`` takes a GPU where there is one.
    """
    places = [cores()]
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        places.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // CPU_JOB)
    if accelerator in ("auto", "cuda") and torch.cuda.is_available():
        places.append(torch.cuda.mem_get_info()[0] // GPU_JOB)
    return max(1, min(places))


def run_cells(cells: Sequence[Cell], folder: Path, *, jobs: int) -> dict[Path, str]:
    """Run what is not finished yet.

    Args:
        cells: all of them.
        folder: the sweep's.
        jobs: processes at once; each gets its share of the cores as threads.

    Returns:
        the folder of each cell that failed -> the last line that it wrote.

    Raises:
        Interrupted: SIGTERM or Ctrl-C; the same call goes on from there.
    """
    with _alone(folder), _progress() as progress, StopRequest() as stop:
        sweep = _Sweep(cells, progress, threads=max(1, cores() // jobs))
        try:
            while sweep.waiting or sweep.active:
                while sweep.waiting and len(sweep.active) < jobs:
                    sweep.start()
                time.sleep(LOOK_EVERY)
                sweep.look()
                if stop.signal is not None:
                    raise Interrupted(stop.signal)
        finally:
            sweep.stop()
        return sweep.failed


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the sweep's folder; the processes of a sweep that was killed hold it until they are gone, too."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            console.print(f"{folder}: another sweep is at work here, or one that was killed is saving; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TaskProgressColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("{task.fields[note]}"), console=console)


@dataclass
class _Job:
    """A cell under way."""

    cell: Cell
    process: subprocess.Popen[bytes]
    bar: TaskID
    before: float


@dataclass
class _Sweep:
    """Cells waiting, under way and failed, and how far all of them have come."""

    cells: Sequence[Cell]
    progress: Progress
    threads: int
    active: list[_Job] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waiting = deque(cell for cell in self.cells if not cell.finished)
        self.total = sum(_whole(cell) for cell in self.cells)
        self.done = sum(_whole(cell) for cell in self.cells) - sum(_whole(cell) for cell in self.waiting)
        self.left_out = 0.0  # of failed cells
        self.began, self.gained = time.monotonic(), 0.0
        self.bar = self.progress.add_task("sweep", total=self.total, note="")

    def start(self) -> None:
        """Start the next cell in a process of its own."""
        cell = self.waiting.popleft()
        cell.save()
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))
        with (cell.folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "masksem_graph.cli._cell", str(cell.folder), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | threads,
                close_fds=False,  # the lock goes along
                start_new_session=True,  # Ctrl-C is for the sweep, which passes it on
            )
        before = _done(cell)[0]
        bar = self.progress.add_task(cell.name, total=_whole(cell), note="starting")
        self.active.append(_Job(cell, process, bar, before))

    def look(self) -> None:
        """See how far everyone has come, and who is through."""
        for job in list(self.active):
            code = job.process.poll()
            done, note = _done(job.cell)
            self.progress.update(job.bar, completed=done, note=note)
            if code is not None:
                self._end(job, code)
        under_way = sum(_done(job.cell)[0] - job.before for job in self.active)
        finished = self.done + sum(job.before for job in self.active) + under_way
        note = f"{self._finished()} of {len(self.cells)} cells, {self._time_left(self.gained + under_way, finished)}"
        self.progress.update(self.bar, completed=finished, note=note)

    def _end(self, job: _Job, code: int) -> None:
        self.active.remove(job)
        self.progress.remove_task(job.bar)
        if code == 0 and job.cell.finished:
            self.done += _whole(job.cell)
            self.gained += _whole(job.cell) - job.before
            line = f"finished: {job.cell.name} ({self._finished()} of {len(self.cells)})"
            self.progress.console.print(line, markup=False, highlight=False)
        else:
            self.left_out += _whole(job.cell)
            self.failed[job.cell.folder] = _last_line(job.cell.folder / "log.txt") or f"exit status {code}"
            line = f"FAILED: {job.cell.name}: {self.failed[job.cell.folder]}; all of it: {job.cell.folder / 'log.txt'}"
            self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _finished(self) -> int:
        return len(self.cells) - len(self.waiting) - len(self.active) - len(self.failed)

    def _time_left(self, gained: float, finished: float) -> str:
        if gained <= 0:
            return "time left not known yet"
        seconds = (time.monotonic() - self.began) / gained * (self.total - self.left_out - finished)
        if seconds < 100:
            return f"about {seconds:.0f} s left"
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"about {hours} h {minutes:02d} min left" if hours else f"about {minutes} min left"

    def stop(self) -> None:
        """Ask everyone to save and leave, and wait until they have."""
        for job in self.active:
            if job.process.poll() is None:
                job.process.terminate()
        for job in self.active:
            job.process.wait()
        self.active.clear()


def _whole(cell: Cell) -> float:
    return sum(cell.work(step) for step in cell.steps)


def _done(cell: Cell) -> tuple[float, str]:
    """How much of a cell is done, in epochs, and what it is at."""
    done = 0.0
    for step in cell.steps:
        epochs = _epochs(cell.folder / step.name) if step.epochs else 0
        if (epochs < step.epochs) if step.epochs else not step.finished(cell.folder):
            now = f"{step.name}: epoch {epochs + 1} of {step.epochs}" if step.epochs else step.name
            return done + epochs, now
        done += cell.work(step)
    return done, ""


def _epochs(run: Path) -> int:
    """Epochs that a run has finished."""
    try:
        return len(read_metrics(run))
    except (OSError, ValueError):
        return 0


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error}") from None
    return lines[-1].strip() if lines else ""
