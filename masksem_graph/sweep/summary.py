"""What a sweep found: a row a variant, and a row a run."""

from __future__ import annotations

import csv
import statistics
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from masksem_graph.files import write_beside
from masksem_graph.report.evaluation import read_results
from masksem_graph.report.figures import save_figure
from masksem_graph.sweep.figure import variants_figure
from masksem_graph.sweep.plan import Cell, Plan
from masksem_graph.training.metrics import read_metrics


@dataclass(frozen=True)
class Row:
    """A variant.

    Args:
        labels: axis -> its name there.
        accuracy: evaluation -> top-1 accuracy in per cent of every finished run, by seed.
        seconds: of pre-training, of every finished run.
        runs: planned ones.
    """

    labels: dict[str, str]
    accuracy: dict[str, dict[int, float]]
    seconds: list[float]
    runs: int

    @property
    def finished(self) -> int:
        """Runs that are finished."""
        return len(self.seconds)


@dataclass(frozen=True)
class Summary:
    """A sweep's findings.

    Args:
        plan: what was to be done.
        rows: a variant each.
    """

    plan: Plan
    rows: list[Row]

    def cells(self, bold: str) -> tuple[list[str], list[list[str]]]:
        """Header and rows as text; the best mean of each evaluation stands between two ``bold``."""
        header = [*self.plan.axes, *(f"{name} (%)" for name in self.plan.evaluations), "runs", "pre-training (min)"]
        best = {name: max((self._mean(row, name) for row in self.rows), default=0.0) for name in self.plan.evaluations}
        out = []
        for row in self.rows:
            texts = []
            for name in self.plan.evaluations:
                text = _mean_and_std(list(row.accuracy[name].values()))
                texts.append(f"{bold}{text}{bold}" if row.finished and self._mean(row, name) == best[name] else text)
            runs = str(row.runs) if row.finished == row.runs else f"{row.finished} of {row.runs}"
            minutes = f"{statistics.fmean(row.seconds) / 60:.1f}" if row.seconds else "-"
            out.append([*row.labels.values(), *texts, runs, minutes])
        return header, out

    def _mean(self, row: Row, evaluation: str) -> float:
        values = list(row.accuracy[evaluation].values())
        return round(statistics.fmean(values), 1) if values else float("-inf")

    def table(self) -> Table:
        """For the terminal."""
        header, rows = self.cells("*")
        table = Table(title=f"{self.plan.title}: top-1 accuracy", title_justify="left")
        for i, name in enumerate(header):
            table.add_column(name, justify="left" if i < len(self.plan.axes) else "right")
        for row in rows:
            table.add_row(*(f"[bold]{text.strip('*')}[/bold] *" if text.startswith("*") else text for text in row))
        return table

    def markdown(self) -> str:
        """For a document."""
        header, rows = self.cells("**")
        marks = ["---"] * len(self.plan.axes) + ["---:"] * (len(header) - len(self.plan.axes))
        return "\n".join("| " + " | ".join(line) + " |" for line in (header, marks, *rows)) + "\n"

    def write(self, folder: Path) -> None:
        """Write ``results.csv``, ``table.md`` and ``figures/variants``."""
        with write_beside(folder / "results.csv") as partial, partial.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*self.plan.axes, "seed", *self.plan.evaluations, "pretrain_seconds", "run"])
            for cell in self.plan.cells:
                if cell.finished:
                    accuracy = [f"{value:.4f}" for value in _accuracy(cell, self.plan.evaluations).values()]
                    run = (cell.folder / "run").relative_to(folder)
                    writer.writerow([*cell.labels.values(), cell.seed, *accuracy, f"{_seconds(cell):.1f}", run])
        with write_beside(folder / "table.md") as partial:
            partial.write_text(f"{self.plan.title}: top-1 accuracy, mean ± standard deviation\n\n{self.markdown()}")
        if any(row.finished for row in self.rows):
            points = {name: [list(row.accuracy[name].values()) for row in self.rows] for name in self.plan.evaluations}
            labels = [tuple(row.labels.values()) for row in self.rows]
            save_figure(variants_figure(self.plan.title, self.plan.axes, labels, points), folder / "figures" / "variants")


def summarise(plan: Plan) -> Summary:
    """What the finished cells of a plan found."""
    variants: dict[tuple[str, ...], list[Cell]] = {}
    for cell in plan.cells:
        variants.setdefault(tuple(cell.labels.values()), []).append(cell)
    rows = []
    for cells in variants.values():
        finished = [cell for cell in cells if cell.finished]
        found = {cell.seed: _accuracy(cell, plan.evaluations) for cell in finished}
        accuracy = {name: {seed: figures[name] for seed, figures in found.items()} for name in plan.evaluations}
        rows.append(Row(cells[0].labels, accuracy, [_seconds(cell) for cell in finished], len(cells)))
    return Summary(plan, rows)


def _accuracy(cell: Cell, evaluations: tuple[str, ...]) -> dict[str, float]:
    return {name: read_results(cell.folder / name)["top1"] for name in evaluations}


def _seconds(cell: Cell) -> float:
    runs = [cell.folder / step.name for step in cell.steps if step.epochs]
    return sum(row["seconds"] for run in runs for row in read_metrics(run))


def _mean_and_std(values: list[float]) -> str:
    if not values:
        return "-"
    mean = f"{statistics.fmean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.1f}"
