"""Kill a command before each of its operations on files, start the same command again, and look at what is left.

    OMP_NUM_THREADS=1 python -m tests.faults.kills train evaluate --every 1

One process imports the package once and forks for every start, so a point costs about a second. The hook lives here: the
package knows nothing of it. It counts what Python does to files below the scenario's folder (opening for writing, renaming,
removing, making and removing folders, flushing to disk). Before operation N the process kills itself, as ``kill -9`` would.
"""

from __future__ import annotations

import argparse
import csv
import json
import mmap
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.faults.scenarios import DONE, Scenario, fork, preload, scenarios

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
ALIKE = {"metrics.csv", "results.json", "report.html", "provenance.yaml", "table.md", "results.csv", "all.md"}
"""Files that hold times: compared by what does not change."""
UNFLUSHED = 99
"""Exit status of a command that renamed a file that was not on disk."""


class Hook:
    """Counts operations on files below a folder, in this process and its forks, and kills before one of them."""

    def __init__(self) -> None:
        self.shared = mmap.mmap(-1, 8)
        self.root, self.fatal, self.trace = "", -1, False
        self.flushed: set[tuple[int, int]] = set()
        self.unflushed: list[str] = []
        sys.addaudithook(self._audit)
        self._fsync = os.fsync
        os.fsync = self._flush

    @property
    def count(self) -> int:
        return int.from_bytes(self.shared[:], "little")

    def arm(self, root: Path | None, fatal: int = -1, trace: bool = False) -> None:
        """Count below a folder, or nowhere."""
        self.shared[:] = bytes(8)
        self.root, self.fatal, self.trace = str(root or ""), fatal, trace

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.root:
            return
        if event == "open":
            path, _, flags = arguments
            writes = flags & WRITING if isinstance(flags, int) else False
            if writes and not (isinstance(flags, int) and flags & os.O_DIRECTORY):
                self._before(event, path, -1)
        elif event == "os.rename":
            self._check_flushed(*arguments[:2])
            self._before(event, arguments[1], arguments[3])
        elif event in ("os.remove", "os.rmdir", "os.mkdir"):
            self._before(event, arguments[0], arguments[-1])

    def _flush(self, handle: int) -> None:
        self._before("fsync", os.readlink(f"/proc/self/fd/{handle}"), -1)
        self._fsync(handle)
        status = os.fstat(handle)
        self.flushed.add((status.st_ino, status.st_mtime_ns))

    def _check_flushed(self, source: Any, target: Any) -> None:
        source = Path(os.fsdecode(source))
        if not str(source).startswith(self.root) or source.name.endswith(".old") or str(target).endswith(".old"):
            return
        for path in [source, *source.rglob("*")] if source.is_dir() else [source]:
            status = path.stat()
            if path.is_file() and (status.st_ino, status.st_mtime_ns) not in self.flushed:
                self.unflushed.append(str(path.relative_to(self.root)))

    def _before(self, what: str, path: Any, folder: Any) -> None:
        if isinstance(path, int) or path is None:
            return
        path = os.fsdecode(path)
        if isinstance(folder, int) and folder >= 0:
            path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)
        if not os.path.abspath(path).startswith(self.root):
            return
        number = self.count
        self.shared[:] = (number + 1).to_bytes(8, "little")
        if self.trace:
            print(f"  {number}: {what} {os.path.relpath(path, self.root)}", file=sys.stderr)
        if number == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def judge(self, code: int) -> int:
        """The exit status of a command, another one where it renamed what was not on disk."""
        if self.unflushed:
            print("renamed without fsync:", *self.unflushed)
        return UNFLUSHED if self.unflushed else code


def content(root: Path, output: str) -> dict[str, Any]:
    """What lies below a folder, less what differs from run to run."""
    found = {path.name: "beside" for path in root.iterdir()}
    top = root / output
    for path in top.rglob("*") if top.is_dir() else [top] if top.exists() else []:
        name = path.relative_to(root).as_posix()
        if "tensorboard" not in name and "/logs/" not in name:
            found[name] = _value(path)
    return found


def _value(path: Path) -> Any:
    if path.is_dir():
        return "folder"
    if path.name == "metrics.csv":
        with path.open() as file:
            return [{k: v for k, v in row.items() if "second" not in k} for row in csv.DictReader(file)]
    if path.name == "results.json":
        found = json.loads(path.read_text())
        return [found[name] for name in ("top1", "top5", "confusion", "floors", "seeds")]
    import torch

    if path.suffix == ".pth":  # made here
        return {name: value.tolist() for name, value in torch.load(path, weights_only=False)["model"].items()}
    if path.name in ("last.pt", "previous.pt"):
        state = torch.load(path, weights_only=True)
        tensors = {**state["task"], **{f"sum {k}": v for k, v in state.get("sums", {}).items()}}
        return [state.get("epoch"), state.get("step"), {k: v.double().sum().item() for k, v in tensors.items()}]
    if path.name in ALIKE or path.suffix in (".svg", ".png", ".npz"):
        return "there"
    return path.read_bytes()


def whole(root: Path) -> None:
    """Whatever lies in a run's or a store's place can be read, or is not there at all."""
    from masksem_graph.data.store import is_store, open_store
    from masksem_graph.models.io import load_encoder, load_head
    from masksem_graph.report.evaluation import read_results
    from masksem_graph.training.checkpoint import load_checkpoint
    from masksem_graph.training.metrics import read_metrics

    for folder in {path.parent for path in root.rglob("*") if path.is_file()}:
        if any(part.startswith(".") for part in folder.relative_to(root).parts):
            continue
        if (folder / "last.pt").exists():
            load_checkpoint(folder / "last.pt")
        if (folder / "encoder.safetensors").exists() and (folder / "encoder.yaml").exists():
            load_encoder(folder)
        if (folder / "head.safetensors").exists() and (folder / "head.yaml").exists():
            load_head(folder)
        if (folder / "results.json").exists():
            read_results(folder)
        if (folder / "metrics.csv").exists():
            read_metrics(folder)
        if is_store(folder):
            open_store(folder, verify=True)


def attack(scenario: Scenario, *, every: int = 1, limit: int | None = None, trace: bool = False) -> list[str]:
    """Kill at every operation, or at a sample; what went wrong, a line each."""
    with tempfile.TemporaryDirectory() as place:
        root, log = Path(place) / "work", Path(place) / "log.txt"
        _fresh(scenario, root)
        HOOK.arm(root, trace=trace)
        if code := fork(scenario.arguments(root), log, HOOK.judge, errors=not trace):
            return [f"without a kill: exit status {code}: {log.read_text()[-600:]}"]
        points, expected = HOOK.count, content(root, scenario.output)
        chosen = list(range(0, points, every))
        if limit is not None and len(chosen) > limit:
            chosen = [chosen[i * (len(chosen) - 1) // (limit - 1)] for i in range(limit)]
        print(f"{points} operations, killed before {len(chosen)} of them", flush=True)
        return [f"{point}: {fault}" for point in chosen for fault in _kill(scenario, root, log, point, expected)]


def _fresh(scenario: Scenario, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(scenario.start, root, symlinks=True)


def _kill(scenario: Scenario, root: Path, log: Path, point: int, expected: dict[str, Any]) -> list[str]:
    """What went wrong at a point."""
    faults = []
    _fresh(scenario, root)
    HOOK.arm(root, point)
    # In a sweep a step is killed, and its runner goes on to the end and says that it failed.
    if fork(scenario.arguments(root), log) == 0:
        faults.append("the kill was not noticed")
    HOOK.arm(None)
    try:
        whole(root)
        scenario.check(root)
    except Exception as error:
        faults.append(f"after the kill: {type(error).__name__}: {error}")
    code, text = fork(scenario.arguments(root), log), log.read_text()
    done = code == 2 and any(words in text for words in DONE)
    if code and not done:
        return [*faults, f"second start: exit status {code}: {' '.join(text.split())[-300:]}"]
    found = content(root, scenario.output)
    if wrong := sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)):
        told = [f"{n} {'missing' if n not in found else 'left' if n not in expected else 'differs'}" for n in wrong[:4]]
        faults.append(", ".join(told) + (" (said that it was done)" if done else ""))
    return faults


def main() -> None:
    """Attack the scenarios that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="scenarios; all where none is named")
    parser.add_argument("--every", type=int, default=1, help="only each so many-th operation")
    parser.add_argument("--limit", type=int, help="at most so many points of each scenario")
    parser.add_argument("--trace", action="store_true", help="list the operations of a whole run")
    given = parser.parse_args()
    os.environ["MPLCONFIGDIR"] = tempfile.mkdtemp()
    preload()
    failed = 0
    with tempfile.TemporaryDirectory() as base:
        os.environ["MASKSEM_GRAPH_CACHE"] = f"{base}/cache"
        table = scenarios(Path(base))
        for name in given.names or table:
            began = time.monotonic()
            print(f"{name}: ", end="", flush=True)
            faults = attack(table[name](), every=given.every, limit=given.limit, trace=given.trace)
            failed += len(faults)
            print(
                *(f"  {fault}" for fault in faults),
                f"  {len(faults)} faults, {time.monotonic() - began:.0f} s",
                sep="\n",
                flush=True,
            )
    sys.exit(bool(failed))


HOOK = Hook()

if __name__ == "__main__":
    main()
