"""The published figures that ship as ``configs/published.yaml``, and which benchmark an evaluation belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from masksem_graph.config import parse_mapping
from masksem_graph.errors import InputError
from masksem_graph.files import find_yaml
from masksem_graph.plain_yaml import read_yaml

TRANSFER = "transfer"
FACTS = {"stream": "stream", "pool": "pool", "epochs": "epochs", "chosen": "epoch"}
"""Field of a row or of its source -> what a footnote calls it."""


@dataclass(frozen=True)
class Benchmark:
    """A split of a data set that the field compares on: what heads its column, and what it is told by.

    ``clips`` are how many train and how many test. Lists of bad clips differ a little, so 3 % more or fewer are the same.
    """

    title: str
    formats: list[str]
    topology: str
    classes: int
    split: str
    clips: list[int]


class PublishedRow(NamedTuple):
    """A method, benchmark (``source>target`` for transfer) -> per cent, and where that is from and how it came about."""

    method: str
    top1: dict[str, float]
    footnote: str


class PublishedTables(NamedTuple):
    """All of the file: benchmarks by short name, rows by protocol."""

    benchmarks: dict[str, Benchmark]
    rows: dict[str, list[PublishedRow]]

    def benchmark(self, data_set: Mapping[str, Any], split: str, test: int | None = None) -> str:
        """Short name of the benchmark that was evaluated or trained on; of another data set its format and split.

        What calls itself a benchmark and has other clips is told by their number. ``data_set`` is as
        `masksem_graph.data.config.identity` describes it, ``test`` is how many clips were tested on, where that is known.
        """
        called = data_set["topology"], data_set["classes"], split
        alike = {
            name: one
            for name, one in self.benchmarks.items()
            if data_set["format"] in one.formats and called == (one.topology, one.classes, one.split)
        }
        for name, one in alike.items():
            if _close(data_set["clips"], sum(one.clips)) and (test is None or _close(test, one.clips[1])):
                return name
        return f"{data_set['format'].rpartition('.')[2]}_{split}" + (f", {data_set['clips']} clips" if alike else "")

    def title(self, name: str) -> str:
        """What heads the column of a benchmark, or of a pair ``source>target``."""
        source, arrow, target = name.rpartition(">")
        title = self.benchmarks[target].title if target in self.benchmarks else target
        return f"{self.title(source)} to {title}" if arrow else title


def _close(found: int, own: int) -> bool:
    return abs(found - own) <= 0.03 * own


def load_published(path: Path | None = None) -> PublishedTables:
    """Read the file; ``InputError`` for a row without a source, of an unknown benchmark, or with no percentage."""
    path = path or find_yaml("published", "configs")
    fields = read_yaml(path)
    sources = fields.pop("sources")
    benchmarks = {name: parse_mapping(Benchmark, about, source=path) for name, about in fields.pop("benchmarks").items()}
    rows = {protocol: [_row(path, row, sources, benchmarks) for row in listed] for protocol, listed in fields.items()}
    return PublishedTables(benchmarks, rows)


def _row(path: Path, row: dict[str, Any], sources: Mapping[str, Any], benchmarks: Mapping[str, Benchmark]) -> PublishedRow:
    """A row; what it does not say of itself, its source says."""
    about = f"{path}: {row.get('method')}"
    if row.get("source") not in sources:
        raise InputError(f"{about}: source: expected one of {', '.join(sources)}, found {row.get('source')!r}")
    top1 = {name: value for name, value in row.items() if name not in ("method", "source", "note", *FACTS)}
    for name, value in top1.items():
        if any(part not in benchmarks for part in name.split(">")):
            raise InputError(f"{about}: expected benchmarks of this file, found {name!r}")
        if type(value) not in (int, float) or not 0 < value <= 100:
            raise InputError(f"{about}: {name}: expected a percentage, found {value!r}")
    whole = sources[row["source"]] | row
    told = ", ".join(f"{told}: {whole[name]}" for name, told in FACTS.items() if whole.get(name) is not None)
    return PublishedRow(row["method"], top1, "; ".join(filter(None, (whole["where"], told, whole.get("note")))))
