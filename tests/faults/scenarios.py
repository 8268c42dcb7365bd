"""The commands that are attacked: what each starts from, and how it is run in a fork."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CPU = ("--device.accelerator", "cpu")
DONE = ("a finished run", "already holds results", "is there already")
"""What a command says that has nothing left to do."""


@dataclass
class Scenario:
    """A command and its starting point.

    Args:
        start: what is there before, copied for each attack.
        arguments: of ``masksem-graph``, given the folder.
        output: what the command writes, below the folder.
        check: raises unless what an attack left is whole.
    """

    start: Path
    arguments: Callable[[Path], list[str]]
    output: str
    check: Callable[[Path], None] = lambda root: None


def scenarios(base: Path) -> dict[str, Callable[[], Scenario]]:
    """By name; what they start from is made once, below ``base``."""

    def once(name: str, of: Callable[[], Path] | None, make: Callable[[Path], Any]) -> Path:
        if not (folder := base / name).exists():
            shutil.copytree(of(), folder) if of else folder.mkdir()
            make(folder)
        return folder

    def run(words: Sequence[str]) -> None:
        if code := fork(words, log := base / "log.txt"):
            raise RuntimeError(f"{words}: exit status {code}: {log.read_text()[-800:]}")

    def prepare(root: Path) -> list[str]:
        return ["prepare", "ntu", str(root / "clips"), "--output", str(root / "store"), "--workers", "1"]

    def train(root: Path) -> list[str]:
        return ["train", *_model(stored() / "store"), *("--train.epochs", "2"), *CPU, "--output", str(root / "run")]

    def evaluate(root: Path, protocol: str, *more: str) -> list[str]:
        to = ("--protocol.epochs", "2", "--figures", "false", "--floors", "false", *CPU, *more)
        run = str(root / "run")
        return ["evaluate", "--run", run, "--protocol", protocol, *to, "--output", f"{run}/{protocol}"]

    def convert(root: Path) -> list[str]:
        return ["convert", str(root / "a.pth"), "--topology", "tiny5", "--output", str(root / "run")]

    def less(root: Path) -> None:
        min((root / "clips").glob("*A001*")).unlink()

    def unreport(root: Path) -> None:
        (root / "run" / "report.html").unlink()
        shutil.rmtree(root / "run" / "figures", ignore_errors=True)

    def sweep(root: Path) -> list[str]:
        (recipe := base / "sweep.yaml").write_text(json.dumps({"steps": _steps(_model(stored() / "store"))}))
        return ["run", str(recipe), "--output", str(root / "out")]

    def has_results(root: Path) -> None:
        assert (root / "run" / "linear" / "results.json").is_file(), "the old results are gone"

    def has_store(root: Path) -> None:
        assert (root / "store" / "store.yaml").is_file() or list(root.glob(".store.*.old")), "the old store is gone"

    nothing = partial(once, "nothing", None, lambda root: None)
    source = partial(once, "source", None, _write_clips)
    stored = partial(once, "stored", source, lambda root: run(prepare(root)))
    again = partial(once, "again", stored, less)
    trained = partial(once, "trained", nothing, lambda root: run(train(root)))
    evaluated = partial(once, "evaluated", trained, lambda root: run(evaluate(root, "linear")))
    unreported = partial(once, "unreported", evaluated, unreport)
    published = partial(once, "published", None, _write_published)
    converted = partial(once, "converted", published, lambda root: run(convert(root)))
    over = ("--overwrite", "true")
    export = ("--to", "mamp", "--output")
    return {
        "prepare": lambda: Scenario(source(), prepare, "store"),
        "prepare again": lambda: Scenario(again(), prepare, "store", has_store),
        "train": lambda: Scenario(nothing(), train, "run"),
        "train over": lambda: Scenario(trained(), lambda root: [*train(root), *over], "run"),
        "evaluate": lambda: Scenario(trained(), lambda root: evaluate(root, "linear"), "run"),
        "evaluate over": lambda: Scenario(evaluated(), lambda root: evaluate(root, "linear", *over), "run", has_results),
        "finetune": lambda: Scenario(trained(), lambda root: evaluate(root, "finetune"), "run"),
        "convert": lambda: Scenario(published(), convert, "run"),
        "convert over": lambda: Scenario(converted(), lambda root: [*convert(root), *over], "run"),
        "export": lambda: Scenario(converted(), lambda root: ["convert", f"{root}/run", *export, f"{root}/b.pth"], "b.pth"),
        "report": lambda: Scenario(unreported(), lambda root: ["report", str(root / "run")], "run"),
        "run": lambda: Scenario(nothing(), sweep, "out"),
    }


def _model(store: Path) -> list[str]:
    return [
        *("--model", "tiny", "--method", "masksem", "--data.format", "ntu", "--data.split", "xsub"),
        *("--data.root", str(store), "--model.frames", "8", "--model.width", "16", "--model.crop.min_frames", "8"),
        *("--model.backbone.depth", "1", "--model.decoder.depth", "1", "--train.batch_size", "8"),
        *("--train.evaluate_every", "1", "--train.figures", "false"),
    ]


def _steps(model: list[str]) -> list[dict[str, Any]]:
    given = {name.removeprefix("--"): value for name, value in zip(model[::2], model[1::2], strict=True)}
    typed = {name: json.loads(v) if v in ("true", "false") or v.isdigit() else v for name, v in given.items()}
    typed |= {"train.epochs": 1, "device.accelerator": "cpu"}
    knn = {"run": "a", "protocol": "knn", "figures": False, "floors": False, "device.accelerator": "cpu"}
    return [{"train": "a", **typed}, {"evaluate": "a/knn", **knn}, {"table": "all.md", "style": "all"}]


def _write_clips(root: Path) -> None:
    from masksem_graph.data.demo import clip_texts

    (root / "clips").mkdir()
    for subject in (1, 2, 3):
        for action in (1, 2):
            for name, text in clip_texts(seed=0, subject=subject, action=action).items():
                (root / "clips" / name).write_text(text)
    (root / "clips" / "S001C001P001R001A003.skeleton").write_text("broken")


def _write_published(root: Path) -> None:
    import torch

    from masksem_graph.published.layout import encoder_layout
    from tests.published.conftest import HEADS, SIZES, weights

    torch.manual_seed(0)
    state = weights(encoder_layout(SIZES) | HEADS["probe"])
    torch.save({"model": state, "epoch": 3, "args": argparse.Namespace(model_args={"num_heads": 2})}, root / "a.pth")


def fork(arguments: Sequence[str], log: Path, after: Callable[[int], int] = int, errors: bool = True) -> int:
    """Run ``masksem-graph ARGUMENTS`` in a fork; its exit status, -9 where it was killed.

    Args:
        arguments: of the command.
        log: where its output goes; outside of what is attacked.
        after: called in the fork with the exit status; gives another one.
        errors: go into the log, too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if (child := os.fork()) == 0:
        code = 1
        with contextlib.suppress(BaseException), log.open("w") as file:
            os.dup2(file.fileno(), 1)
            if errors:
                os.dup2(file.fileno(), 2)
            code = after(command(arguments))
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


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
        if (child := os.fork()) == 0:
            os.dup2(stdout.fileno(), 1)
            os.dup2(stdout.fileno(), 2)
            os._exit(command(words[3:]))
        self.child, self.code = child, None

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
    Figure.savefig = lambda self, path, **_: Path(path).write_text("a picture")
    names = {name: getattr(subprocess, name) for name in ("DEVNULL", "STDOUT")}
    masksem_graph.experiments.run.subprocess = SimpleNamespace(**names, Popen=Forked)
    masksem_graph.experiments.run.LOOK_EVERY = 0.02
    # A fork of a process whose bars have a thread would wait for that thread's locks.
    masksem_graph.experiments.run.progress_bars = partial(masksem_graph.console.progress_bars, disable=True)
