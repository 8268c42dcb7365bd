"""Kill a command before each of its operations on files, start the same command again, and look at what is left.

    OMP_NUM_THREADS=1 python -m tests.faults.kills train evaluate --every 1

One process imports the package once and forks for every start, so a point costs about a second. The hook lives here: the
package knows nothing of it. It counts what Python does to files below the scenario's folder (opening for writing, renaming,
removing, making and removing folders, flushing to disk). Before operation N the process kills itself, as ``kill -9`` would.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import mmap
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

DONE = ("a finished run", "already holds results", "is there already")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
ALIKE = {"metrics.csv", "results.json", "report.html", "provenance.yaml", "table.md", "results.csv", "all.md"}
"""Files that hold times: compared by what does not change."""


class Hook:
    """Counts operations on files below a folder, in this process and its forks, and kills before one of them."""

    def __init__(self) -> None:
        self.shared = mmap.mmap(-1, 8)
        self.root, self.fatal, self.trace = "", -1, False
        self.flushed: set[tuple[int, int]] = set()
        self.unflushed: list[str] = []
        sys.addaudithook(self._audit)
        self._fsync = os.fsync
        os.fsync = self._flush  # type: ignore[assignment]

    @property
    def count(self) -> int:
        return int.from_bytes(self.shared[:], "little")

    def arm(self, root: Path, fatal: int = -1) -> None:
        self.shared[:] = bytes(8)
        self.root, self.fatal = str(root), fatal

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


@dataclass
class Scenario:
    """A command and its starting point.

    Args:
        start: what is there before, copied for each point.
        arguments: of ``masksem-graph``, given the folder.
        again: of the second start, where it differs.
        outputs: what the command writes, below the folder.
        check: raises unless what a kill left is whole.
    """

    start: Path
    arguments: Callable[[Path], list[str]]
    outputs: Sequence[str]
    again: Callable[[Path], list[str]] | None = None
    check: Callable[[Path], None] = field(default=lambda root: None)


def fork(arguments: Sequence[str], log: Path, *, report_unflushed: bool = False) -> int:
    """Run ``masksem-graph ARGUMENTS`` in a fork; its exit status, -9 where it was killed."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with log.open("w") as file:  # outside of the root: not counted
                os.dup2(file.fileno(), 1)
                if not HOOK.trace:
                    os.dup2(file.fileno(), 2)
            code = command(arguments)
            if report_unflushed and HOOK.unflushed:
                print("renamed without fsync:", *HOOK.unflushed)
                code = 99
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def command(arguments: Sequence[str]) -> int:
    """Run ``masksem-graph ARGUMENTS`` here; its exit status, 1 after a traceback."""
    from masksem_graph.cli import main

    try:
        main(arguments)
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


class Forked:
    """Stands in for ``subprocess.Popen`` in the runner of a sweep: a step is a fork of this process."""

    def __init__(self, words: list[str], stdout: Any, **_: Any) -> None:
        log = Path(stdout.name)
        if (child := os.fork()) == 0:
            os.dup2(stdout.fileno(), 1)
            os.dup2(stdout.fileno(), 2)
            os._exit(command(words[3:]))
        self.child, self.code, self.log = child, None, log

    def poll(self) -> int | None:
        if self.code is None:
            child, status = os.waitpid(self.child, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if child else None
        return self.code

    def terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child, signal.SIGTERM)

    def wait(self) -> None:
        while self.poll() is None:
            time.sleep(0.01)


def content(root: Path, outputs: Sequence[str]) -> dict[str, Any]:
    """What lies below a folder, less what differs from run to run."""
    found: dict[str, Any] = {}
    for path in sorted(path for name in outputs for path in _below(root / name)):
        name = path.relative_to(root).as_posix()
        if "tensorboard" in name or "/logs/" in name:
            continue
        found[name] = _value(path)
    # Whatever lies beside the outputs: leftovers.
    for path in root.iterdir():
        found.setdefault(path.name, "beside")
    return found


def _below(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from path.rglob("*")
    elif path.exists():
        yield path


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


def attack(scenario: Scenario, *, every: int = 1, limit: int | None = None, first: int = 0) -> list[str]:
    """Kill at every operation, or at a sample; what went wrong, a line each."""
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        base, log = Path(place), Path(place) / "log.txt"

        def fresh(name: str) -> Path:
            root = base / "work"
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(scenario.start, root, symlinks=True)
            return root

        root = fresh("whole")
        HOOK.arm(root)
        code = fork(scenario.arguments(root), log, report_unflushed=True)
        points = HOOK.count
        if code:
            return [f"without a kill: exit status {code}: {log.read_text()[-600:]}"]
        expected = content(root, scenario.outputs)
        chosen = list(range(first, points, every))
        if limit is not None and len(chosen) > limit:
            chosen = [chosen[i * (len(chosen) - 1) // (limit - 1)] for i in range(limit)]
        print(f"{points} operations, killed before {len(chosen)} of them", flush=True)
        for point in chosen:
            root = fresh("killed")
            HOOK.arm(root, point)
            code = fork(scenario.arguments(root), log)
            # In a sweep a step is killed, and its runner goes on to the end and says that it failed.
            if code == 0:
                faults.append(f"{point}: the kill was not noticed")
            HOOK.arm(Path("/nowhere"))
            try:
                whole(root)
                scenario.check(root)
            except Exception as error:
                faults.append(f"{point}: after the kill: {type(error).__name__}: {error}")
            code = fork((scenario.again or scenario.arguments)(root), log)
            text = log.read_text()
            done = code == 2 and any(
                words in text for words in ("a finished run", "already holds results", "is there already")
            )
            if code and not done:
                faults.append(f"{point}: second start: exit status {code}: {' '.join(text.split())[-300:]}")
                continue
            found = content(root, scenario.outputs)
            if wrong := sorted(n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n)):
                kinds = [f"{n} {'missing' if n not in found else 'left' if n not in expected else 'differs'}" for n in wrong]
                faults.append(f"{point}: {', '.join(kinds[:4])}{' (said that it was done)' if done else ''}")
    return faults


def scenarios(base: Path) -> dict[str, Callable[[], Scenario]]:
    """By name; what they start from is made once, below ``base``."""
    cpu = ["--device.accelerator", "cpu"]

    def run(words: Sequence[str]) -> None:
        HOOK.root = ""
        log = base / "log.txt"
        if code := fork(words, log):
            raise RuntimeError(f"{words}: exit status {code}: {log.read_text()[-800:]}")

    def source() -> Path:
        from masksem_graph.data.demo import clip_texts

        folder = base / "source"
        if not folder.exists():
            (folder / "clips").mkdir(parents=True)
            for subject in (1, 2, 3):
                for action in (1, 2):
                    for name, text in clip_texts(seed=0, subject=subject, action=action).items():
                        (folder / "clips" / name).write_text(text)
            (folder / "clips" / "S001C001P001R001A003.skeleton").write_text("broken")
        return folder

    def prepare(root: Path) -> list[str]:
        return ["prepare", "ntu", str(root / "clips"), "--output", str(root / "store"), "--workers", "1"]

    def again() -> Path:
        folder = base / "again"
        if not folder.exists():
            shutil.copytree(source(), folder)
            run(prepare(folder))
            next(iter(sorted((folder / "clips").glob("*A001*")))).unlink()
        return folder

    def store() -> Path:
        folder = base / "stored"
        if not folder.exists():
            shutil.copytree(source(), folder)
            run(prepare(folder))
        return folder / "store"

    def model() -> list[str]:
        return [
            *("--model", "tiny", "--method", "masksem", "--data.format", "ntu", "--data.split", "xsub"),
            *("--data.root", str(store()), "--model.frames", "8", "--model.width", "16", "--model.crop.min_frames", "8"),
            *("--model.backbone.depth", "1", "--model.decoder.depth", "1", "--train.batch_size", "8"),
            *("--train.evaluate_every", "1", "--train.figures", "false"),
        ]

    def train(root: Path, epochs: int = 2) -> list[str]:
        return ["train", *model(), "--train.epochs", str(epochs), *cpu, "--output", str(root / "run")]

    def nothing() -> Path:
        (base / "nothing").mkdir(exist_ok=True)
        return base / "nothing"

    def trained() -> Path:
        folder = base / "trained"
        if not folder.exists():
            folder.mkdir()
            run(train(folder))
        return folder

    def evaluate(protocol: str, *more: str) -> Callable[[Path], list[str]]:
        fast = () if protocol == "knn" else ("--protocol.epochs", "2")
        to = ("--figures", "false", "--floors", "false", *cpu, *more)
        return lambda root: [
            *("evaluate", "--run", str(root / "run"), "--protocol", protocol, *fast, *to),
            *("--output", str(root / "run" / protocol)),
        ]

    def evaluated() -> Path:
        folder = base / "evaluated"
        if not folder.exists():
            shutil.copytree(trained(), folder)
            run(evaluate("linear")(folder))
        return folder

    def has_results(root: Path) -> None:
        assert (root / "run" / "linear" / "results.json").is_file(), "the old results are gone"

    def has_store(root: Path) -> None:
        assert (root / "store" / "store.yaml").is_file() or list(root.glob(".store.*.old")), "the old store is gone"

    def published() -> Path:
        folder = base / "published"
        if not folder.exists():
            import torch

            from masksem_graph.published.layout import encoder_layout
            from tests.published.conftest import HEADS, SIZES, weights

            folder.mkdir()
            torch.manual_seed(0)
            state = weights(encoder_layout(SIZES) | HEADS["probe"])
            torch.save({"model": state, "epoch": 3, "args": argparse.Namespace(model_args={"num_heads": 2})}, folder / "a.pth")
        return folder

    def convert(root: Path) -> list[str]:
        return ["convert", str(root / "a.pth"), "--topology", "tiny5", "--output", str(root / "run")]

    def converted() -> Path:
        folder = base / "converted"
        if not folder.exists():
            shutil.copytree(published(), folder)
            run(convert(folder))
        return folder

    def export(root: Path) -> list[str]:
        return ["convert", str(root / "run"), "--to", "mamp", "--output", str(root / "b.pth")]

    def report(root: Path) -> list[str]:
        return ["report", str(root / "run")]

    def unreported() -> Path:
        folder = base / "unreported"
        if not folder.exists():
            shutil.copytree(evaluated(), folder)
            (folder / "run" / "report.html").unlink()
            shutil.rmtree(folder / "run" / "figures", ignore_errors=True)
        return folder

    def sweep(root: Path) -> list[str]:
        recipe = base / "sweep.yaml"
        options = dict(zip((o.removeprefix("--") for o in model()[::2]), model()[1::2], strict=True))
        typed = {name: json.loads(v) if v in ("true", "false") or v.isdigit() else v for name, v in options.items()}
        typed |= {"train.epochs": 1, "device.accelerator": "cpu"}
        knn = {"run": "a", "protocol": "knn", "figures": False, "floors": False, "device.accelerator": "cpu"}
        steps = [{"train": "a", **typed}, {"evaluate": "a/knn", **knn}, {"table": "all.md", "style": "all"}]
        import yaml

        recipe.write_text(yaml.safe_dump({"steps": steps}, sort_keys=False))
        return ["run", str(recipe), "--output", str(root / "out")]

    over = evaluate("linear", "--overwrite", "true")
    return {
        "prepare": lambda: Scenario(source(), prepare, ["store"]),
        "prepare again": lambda: Scenario(again(), prepare, ["store"], check=has_store),
        "train": lambda: Scenario(nothing(), train, ["run"]),
        "train over": lambda: Scenario(
            trained(), lambda root: [*train(root), "--overwrite", "true"], ["run"], check=lambda root: None
        ),
        "evaluate": lambda: Scenario(trained(), evaluate("linear"), ["run"]),
        "evaluate over": lambda: Scenario(evaluated(), over, ["run"], check=has_results),
        "finetune": lambda: Scenario(trained(), evaluate("finetune"), ["run"]),
        "convert": lambda: Scenario(published(), convert, ["run"]),
        "convert over": lambda: Scenario(converted(), lambda root: [*convert(root), "--overwrite", "true"], ["run"]),
        "export": lambda: Scenario(converted(), export, ["b.pth"]),
        "report": lambda: Scenario(unreported(), report, ["run"]),
        "run": lambda: Scenario(nothing(), sweep, ["out"]),
    }


def preload() -> None:
    """Import everything once, before the first fork."""
    import torch
    from matplotlib.figure import Figure

    import masksem_graph.cli.convert
    import masksem_graph.cli.evaluate
    import masksem_graph.cli.report
    import masksem_graph.cli.run
    import masksem_graph.cli.table
    import masksem_graph.cli.train
    import masksem_graph.console
    import masksem_graph.evaluation.run
    import masksem_graph.experiments.run
    import masksem_graph.published
    import masksem_graph.training.run

    torch.set_num_threads(1)
    masksem_graph.training.provenance.commit = lambda: None  # git takes longer than all the rest
    Figure.savefig = lambda self, path, **_: Path(path).write_text("a picture")  # type: ignore[assignment, method-assign]
    names = {name: getattr(subprocess, name) for name in ("DEVNULL", "STDOUT")}
    masksem_graph.experiments.run.subprocess = SimpleNamespace(**names, Popen=Forked)  # type: ignore[assignment]
    masksem_graph.experiments.run.LOOK_EVERY = 0.02
    # A fork of a process whose bars have a thread would wait for that thread's locks.
    masksem_graph.experiments.run.progress_bars = partial(masksem_graph.console.progress_bars, disable=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="scenarios; all where none is named")
    parser.add_argument("--every", type=int, default=1, help="only each so many-th operation")
    parser.add_argument("--limit", type=int, help="at most so many points of each scenario")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--trace", action="store_true", help="list the operations of a whole run")
    found = parser.parse_args()
    os.environ["MPLCONFIGDIR"] = tempfile.mkdtemp()
    preload()
    failed = 0
    with tempfile.TemporaryDirectory() as base:
        os.environ["MASKSEM_GRAPH_CACHE"] = f"{base}/cache"
        for name, make in scenarios(Path(base)).items():
            if found.names and name not in found.names:
                continue
            began = time.monotonic()
            print(f"{name}: ", end="", flush=True)
            scenario = make()
            HOOK.trace = found.trace
            faults = attack(scenario, every=found.every, limit=found.limit, first=found.first)
            failed += len(faults)
            told = "".join(f"  {fault}\n" for fault in faults)
            print(f"{told}  {len(faults)} faults, {time.monotonic() - began:.0f} s", flush=True)
    sys.exit(bool(failed))


HOOK = Hook()

if __name__ == "__main__":
    main()
