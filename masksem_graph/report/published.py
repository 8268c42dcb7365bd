"""The published figures that ship as ``configs/published.yaml``, and which benchmark an evaluation belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from masksem_graph.config import parse_mapping
from masksem_graph.errors import InputError
from masksem_graph.files import find_yaml
from masksem_graph.plain_yaml import read_yaml

TRANSFER = "transfer"
FACTS = ("stream", "pool", "epochs", "chosen", "note")


@dataclass(frozen=True)
class Benchmark:
    """A split of a data set that the field compares on.

    Args:
        title: heads its column.
        formats: what it may have been read from.
        topology, classes, split: of the data set.
        clips: how many train and how many test. Lists of bad clips differ a little, so 3 % more or fewer are the same.
    """

    title: str
    formats: list[str]
    topology: str
    classes: int
    split: str
    clips: list[int]

    def names(self, data_set: Mapping[str, Any], split: str) -> bool:
        """Whether a data set, as `masksem_graph.data.config.identity` describes it, calls itself this one."""
        found = data_set["topology"], data_set["classes"], split
        return data_set["format"] in self.formats and found == (self.topology, self.classes, self.split)

    def counts(self, clips: int, test: int | None = None) -> bool:
        """Whether so many clips, and so many test clips where that is known, are this one's."""
        pairs = [(clips, sum(self.clips)), *([(test, self.clips[1])] if test is not None else [])]
        return all(abs(found - own) <= 0.03 * own for found, own in pairs)


@dataclass(frozen=True)
class PublishedRow:
    """A line of a published table.

    Args:
        method: what the paper calls it.
        source: where the figures were read.
        top1: benchmark (``source>target`` for transfer) -> per cent.
        stream: ``joint``, or several that were added up.
        pool: ``mean`` over all nodes, or ``joints`` kept apart; of the protocols that pool.
        epochs: that the classifier was trained for.
        chosen: which epoch's figure it is.
        note: what else a reader has to know.
    """

    method: str
    source: str
    top1: dict[str, float]
    stream: str | None = None
    pool: str | None = None
    epochs: int | None = None
    chosen: str | None = None
    note: str | None = None

    @property
    def footnote(self) -> str:
        """The source, and how the figures came about, as far as it says."""
        facts = {"stream": self.stream, "pool": self.pool, "epochs": self.epochs, "epoch": self.chosen}
        told = ", ".join(f"{name}: {value}" for name, value in facts.items() if value is not None)
        return "; ".join(part for part in (self.source, told, self.note) if part)


@dataclass(frozen=True)
class PublishedTables:
    """All of the file.

    Args:
        benchmarks: by short name.
        rows: by protocol.
    """

    benchmarks: dict[str, Benchmark]
    rows: dict[str, list[PublishedRow]]

    def benchmark(self, data_set: Mapping[str, Any], split: str, test: int | None = None) -> str:
        """Short name of the benchmark; of another data set its format and split.

        What calls itself a benchmark and has other clips is told by their number.

        Args:
            data_set, split: what was evaluated, or trained on.
            test: how many clips were tested on, where that is known.
        """
        alike = {name: one for name, one in self.benchmarks.items() if one.names(data_set, split)}
        own = f"{data_set['format'].rpartition('.')[2]}_{split}" + (f", {data_set['clips']} clips" if alike else "")
        return next((name for name, one in alike.items() if one.counts(data_set["clips"], test)), own)

    def title(self, name: str) -> str:
        """What heads the column of a benchmark, or of a pair ``source>target``."""
        source, arrow, target = name.rpartition(">")
        title = self.benchmarks[target].title if target in self.benchmarks else target
        return f"{self.title(source)} to {title}" if arrow else title


def load_published(path: Path | None = None) -> PublishedTables:
    """Read and check the file.

    Raises:
        InputError: a row without a source, of an unknown benchmark, or with something else than a percentage.
    """
    path = path or find_yaml("published", "configs")
    fields = read_yaml(path)
    sources = fields.pop("sources")
    benchmarks = {name: parse_mapping(Benchmark, about, source=path) for name, about in fields.pop("benchmarks").items()}
    rows = {protocol: [_row(path, row, sources, benchmarks) for row in listed] for protocol, listed in fields.items()}
    return PublishedTables(benchmarks, rows)


def _row(
    path: Path, row: dict[str, Any], sources: Mapping[str, Mapping[str, Any]], benchmarks: Mapping[str, Benchmark]
) -> PublishedRow:
    """A row; what it does not say of itself, its source says."""
    about = f"{path}: {row.get('method')}"
    if row.get("source") not in sources:
        raise InputError(f"{about}: source: expected one of {', '.join(sources)}, found {row.get('source')!r}")
    facts = {name: row.get(name, sources[row["source"]].get(name)) for name in FACTS}
    top1 = {name: value for name, value in row.items() if name not in ("method", "source", *FACTS)}
    for name, value in top1.items():
        if any(part not in benchmarks for part in name.split(">")):
            raise InputError(f"{about}: expected benchmarks of this file, found {name!r}")
        if type(value) not in (int, float) or not 0 < value <= 100:
            raise InputError(f"{about}: {name}: expected a percentage, found {value!r}")
    return PublishedRow(row["method"], sources[row["source"]]["where"], top1, **facts)
