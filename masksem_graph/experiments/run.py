"""Running the steps of a plan: each is a process, and the next start goes on from wherever the last one was stopped."""

import fcntl
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from rich.progress import Progress

from masksem_graph.console import console, progress_bars
from masksem_graph.errors import InputError
from masksem_graph.experiments.plan import ExperimentPlan
from masksem_graph.experiments.steps import EPOCHS, Step, arguments
from masksem_graph.run_folder import LOCK, RunFolder
from masksem_graph.training.signals import StopRequest

LOOK_EVERY = 0.25  # seconds
PROGRAM = [sys.executable, "-m", "masksem_graph"]


class Stopped(Exception):
    """A signal asked to stop, and every step under way has saved itself and left."""

    def __init__(self, signal: int) -> None:
        super().__init__("stopped")
        self.signal = signal


def finished(folder: Path) -> bool:
    """Whether everything is there: a run whose last checkpoint is its end, an evaluation's results, a store."""
    page = (folder / "report.html").is_file()  # of a run or of an evaluation it is written last
    if (folder / "last.pt").is_file():
        from masksem_graph.training.checkpoint import load_checkpoint  # torch takes seconds to import

        try:
            return page and bool(load_checkpoint(folder / "last.pt").get("finished"))
        except InputError:
            return False  # it goes on from the checkpoint before
    return (page and (folder / "results.json").is_file()) or (folder / "store.yaml").is_file()


def run_steps(plan: ExperimentPlan, output: Path, *, jobs: int = 1, keep_going: bool = True) -> dict[str, str]:
    """Run what is not finished yet in the folder of an experiment.

    Args:
        plan, output: the steps, and the folder.
        jobs: processes at once; where there are several, each gets its share of the cores as threads.
        keep_going: run the steps that do not need a failed one; else stop at the first failure.

    Returns:
        name of each step that failed -> what went wrong. After `Stopped` the same call goes on from there.
    """
    with StopRequest() as stop, _alone(output, stop) as lock, progress_bars() as progress:
        runner = _Runner(plan, output, jobs, progress, lock)
        try:
            while runner.waiting or runner.active:
                runner.start()
                time.sleep(LOOK_EVERY)
                runner.look()
                if stop.signal is not None:
                    raise Stopped(stop.signal)
                if runner.failed and not keep_going:
                    break
        finally:
            runner.stop()
    return runner.failed


@contextmanager
def _alone(output: Path, stop: StopRequest) -> Iterator[IO[str]]:
    """Hold the folder. Steps inherit the lock: those of a runner that was killed hold it until they end."""
    output.mkdir(parents=True, exist_ok=True)
    path, told = output / LOCK, False
    while True:
        with path.open("w") as lock:
            if _locks(lock):
                try:
                    yield lock
                finally:
                    path.unlink(missing_ok=True)
                return
        if not told:
            console.print(f"{output}: another run, or a step of one that was killed, is at work here; waiting for it")
            told = True
        if stop.signal is not None:
            raise Stopped(stop.signal)
        time.sleep(LOOK_EVERY)


def _locks(file: IO[str]) -> bool:
    """Whether this process holds the file now, and the file is still where it was."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return os.fstat(file.fileno()).st_nlink > 0


@dataclass
class _Runner:
    """Steps waiting, under way, and failed."""

    plan: ExperimentPlan
    output: Path
    jobs: int
    progress: Progress
    lock: IO[str]
    active: dict[str, tuple[Step, subprocess.Popen[bytes]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        todo = [step for step in self.plan.steps if step.missing is None]
        self.waiting = {step.name: step for step in todo if step.command == "table" or not self._finished(step.name)}
        for step in todo:  # of one that was killed at its very end
            if step.name not in self.waiting:
                RunFolder(self.output / step.name).remove_leftovers()
        self.bar = self.progress.add_task("steps", total=len(todo), completed=len(todo) - len(self.waiting), note="")

    def start(self) -> None:
        """Start the next steps whose needs have ended, as far as there is room."""
        for name, step in list(self.waiting.items()):
            if len(self.active) >= self.jobs:
                return
            if any(need in self.waiting or need in self.active for need in step.needs):
                continue
            del self.waiting[name]
            there = tuple(need for need in step.needs if self._finished(need))
            if step.command == "table" and there:
                step = replace(step, places={"": there})
            if lacks := [need for need in step.needs if need not in there]:
                self._fail(name, f"not run: it needs {lacks[0]}")
            else:
                self._say(f"started: {name}, log: {self._log(name)}")
                self.active[name] = step, self._process(step)

    def look(self) -> None:
        """See which steps have ended, and how far the others are."""
        for name, (step, process) in list(self.active.items()):
            if (code := process.poll()) is None:
                continue
            del self.active[name]
            if code == 0 and (step.command == "table" or self._finished(name)):
                self.progress.advance(self.bar)
                self._say(f"finished: {name}")
            else:
                lines = self._log(name).read_text(errors="replace").strip().splitlines()
                self._fail(name, f"exit status {code}: {lines[-1].strip()}; its log: {self._log(name)}")
        self.progress.update(self.bar, note=", ".join(self._note(step) for step, _ in self.active.values()))

    def stop(self) -> None:
        """Ask every step under way to save and leave, and wait until it has."""
        for _, process in self.active.values():
            process.terminate()
        for _, process in self.active.values():
            process.wait()
        self.active.clear()

    def _process(self, step: Step) -> subprocess.Popen[bytes]:
        command = [*PROGRAM, *arguments(step, self.output)]
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = str(max(1, cores // self.jobs))
        shared = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads} if self.jobs > 1 else {}
        self._log(step.name).parent.mkdir(parents=True, exist_ok=True)
        with self._log(step.name).open("ab") as log:
            log.write(f"$ {shlex.join(command)}\n".encode())
            log.flush()
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | shared,
                pass_fds=[self.lock.fileno()],
                start_new_session=True,  # Ctrl-C is for the runner, which passes it on
            )

    def _finished(self, name: str) -> bool:
        return finished(self.output / name)

    def _log(self, name: str) -> Path:
        return self.output / "logs" / f"{name}.txt"

    def _fail(self, name: str, reason: str) -> None:
        self.failed[name] = reason
        self._say(f"FAILED: {name}: {reason}")

    def _say(self, line: str) -> None:
        self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _note(self, step: Step) -> str:
        """What a step is at: a training's epochs are the rows of its ``metrics.csv``."""
        metrics = self.output / step.name / "metrics.csv"
        if step.command != "train" or not metrics.is_file():
            return step.name
        epochs = metrics.read_bytes().count(b"\n") - 1
        return f"{step.name}: {epochs} of {step.options.get(EPOCHS, '?')} epochs"
