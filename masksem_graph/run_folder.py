"""The folder of a run or of an evaluation: the names of its files, whose it is, and who is writing it."""

import csv
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from masksem_graph.errors import InputError
from masksem_graph.files import followed, locked, remove, remove_leftovers, require_folder, write_beside
from masksem_graph.plain_yaml import read_plain, write_plain

Kind = Literal["run", "evaluation", "conversion"]

MARKER, LOCK = ".masksem_graph", ".lock"
NETWORKS = ("encoder.safetensors", "encoder.yaml", "head.safetensors", "head.yaml")
TRAINING = ("last.pt", "previous.pt", "metrics.csv", "reference.safetensors")
DESCRIBING = ("config.yaml", "data.yaml", "provenance.yaml", "report.html", "scores.npz", "labelled.csv")
FILES = (*TRAINING, *DESCRIBING, *NETWORKS, "results.json")
"""What is removed begins with the least and ends with the result."""
DRAWN = ("confusion", "curves", "embedding", "masks", "reconstruction", "saliency", "smoothing")
"""What the names of our pictures begin with."""


class RunFolder:
    """A folder that this package writes; a path itself, so that it can be given wherever one is expected.

    A marker in it says that it is ours, and what it holds. Nothing is ever removed from a folder without one.

    Attributes:
        config, checkpoint, previous, figures, page, results: paths of the resolved configuration, of what a training goes on
            from, of the checkpoint before that, of the pictures, of the page, and of what an evaluation found.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not os.fspath(path):
            raise InputError("--output: expected a folder, found ''")
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: is a file; expected a folder")
        self.config, self.figures, self.page = self / "config.yaml", self / "figures", self / "report.html"
        self.checkpoint, self.previous, self.results = self / "last.pt", self / "previous.pt", self / "results.json"

    def __fspath__(self) -> str:
        return str(self.path)

    __str__ = __fspath__

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def kind(self) -> str | None:
        """What the marker says that the folder holds; None where there is none."""
        marker = self / MARKER
        return marker.read_text(encoding="utf-8", errors="replace").strip() if marker.is_file() else None

    @property
    def lost_checkpoint(self) -> bool:
        """Whether this is a trained run without a file to go on from."""
        if self.checkpoint.is_file() or self.previous.is_file():
            return False
        metrics = self / "metrics.csv"
        # One row may be there before the first checkpoint is.
        rows = len(list(csv.reader(metrics.open(newline="", encoding="utf-8", errors="replace")))) if metrics.is_file() else 0
        return rows > 2 or self.page.is_file()

    def read_config(self) -> dict[str, Any]:
        """The configuration as plain data, an `InputError` where it is no mapping; empty where there is none."""
        fields = read_plain(self.config) if self.config.is_file() else {}
        if not isinstance(fields, dict):
            raise InputError(f"{self.config}: expected a mapping, found {type(fields).__name__}")
        return fields

    def require_ours(self, kind: Kind) -> None:
        """Raise `InputError` unless the folder is new, empty or of this kind, and can be written to."""
        require_folder(self.path)
        there = sorted(entry.name for entry in self.path.iterdir()) if self.path.is_dir() else []
        ours = re.compile(rf"\.lock|\.{re.escape(MARKER)}\.\d+\.partial")  # the last: killed while it was marked
        there = [name for name in there if not ours.fullmatch(name)]
        if self.kind is None and there:
            found = ", ".join(there[:3] + ["..."] * (len(there) > 3))
            raise InputError(f"--output: {self} holds {found}, and no {MARKER} of a run; expected a new or an empty folder")
        if there and self.kind != kind:
            own, wanted = (f"an {one}" if one == "evaluation" else f"a {one}" for one in (self.kind, kind))
            raise InputError(f"--output: {self} holds {own}; expected a folder of its own for {wanted}")

    def refuse_results(self, *, overwrite: bool, **asked: Any) -> None:
        """Raise `InputError` where there are results, unless they may be overwritten.

        Those of the same evaluation, stopped before its page, may: ``results.json`` then has the fields that are ``asked``.
        """
        if overwrite or not self.results.is_file():
            return
        try:
            found = {} if self.page.is_file() else json.loads(self.results.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            found = {}
        if not found or any(found.get(name) != value for name, value in asked.items()):
            raise InputError(f"--output: {self} already holds results; expected another folder, or --overwrite true")

    @contextmanager
    def writing(self, kind: Kind) -> Iterator[None]:
        """Hold the folder for this process, and mark it as ours; an `InputError` where another process is writing it."""
        remove_leftovers(followed(self.path))
        self.require_ours(kind)
        new = False
        try:
            with locked(self.path, wait=False, file=self / LOCK, field="--output: "):
                self.remove_leftovers(locks=False)
                new = self.kind is None
                if new:
                    with write_beside(self / MARKER) as partial:
                        partial.write_text(f"{kind}\n")
                yield
        finally:
            if new and [path.name for path in self.path.iterdir()] == [MARKER]:  # refused before anything was done
                (self / MARKER).unlink()
                self.path.rmdir()

    def remove_leftovers(self, *, locks: bool = True) -> None:
        """Remove what a killed process left, with ``locks`` its lock too, where no other is writing."""
        for leftover in [*self.path.glob(".[!r]*.partial"), *([self / LOCK] if locks else [])]:
            remove(leftover)
        if (self / f".{self.page.name}.lock").exists():
            with suppress(InputError), locked(self.page, wait=False):
                pass  # what nobody holds goes

    def clear(self, keep: tuple[str, ...] = ()) -> None:
        """Remove what an earlier run left in a folder of ours, the results last; files of any other name stay."""
        if self.kind is None:
            raise InputError(f"{self}: no {MARKER} file calls it ours; nothing is removed")
        shutil.rmtree(self / "tensorboard", ignore_errors=True)
        for picture in [path for path in self.figures.glob("*.*") if path.stem.partition("_")[0] in DRAWN]:
            picture.unlink()
        if self.figures.is_dir() and not any(self.figures.iterdir()):
            self.figures.rmdir()
        for name in FILES:
            if name not in keep:
                (self / name).unlink(missing_ok=True)

    def write_yaml(self, name: str, fields: Any) -> None:
        """Write plain data into one of its files."""
        write_plain(self / name, fields)
