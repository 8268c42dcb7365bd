"""What the finished steps of a plan found: a row a variant or run, mean and deviation over the seeds."""

import csv
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import HEAVY_HEAD, MARKDOWN
from rich.console import Console
from rich.table import Table

from masksem_graph.console import print_whole
from masksem_graph.experiments.plan import ExperimentPlan
from masksem_graph.experiments.run import finished
from masksem_graph.files import write_beside

Row = tuple[str, ...]
MINUTES = "training (min)"


@dataclass(frozen=True)
class Summary:
    """The figures of a plan: row -> seed -> column, an evaluation's name, -> top-1 accuracy in per cent, None if not finished.

    Under `MINUTES` stands how long the training took, that of a warm start's first run included.
    """

    plan: ExperimentPlan
    columns: list[str]
    figures: dict[Row, dict[int, dict[str, float | None]]]

    def found(self, row: Row, column: str) -> list[float]:
        """A column's figures of a row's seeds, as far as they are there."""
        return [value for one in self.figures[row].values() if (value := one.get(column)) is not None]

    def table(self, *, markdown: bool = False) -> Table:
        """A row a variant, a column an evaluation; of variants, each evaluation's best mean stands out."""
        title = None if markdown else f"{self.plan.title}: top-1 accuracy (%), mean ± standard deviation"
        table = Table(title=title, title_justify="left", box=MARKDOWN if markdown else HEAVY_HEAD)
        for i, name in enumerate(self.titles):
            table.add_column(name, justify="left" if i < len(self.plan.axes) else "right")
        for row in self.rows("**{}**" if markdown else "[bold]{}[/bold] *"):
            table.add_row(*row)
        return table

    @property
    def titles(self) -> tuple[str, ...]:
        """Of the table's columns."""
        return *self.plan.axes, *self.columns, MINUTES, "seeds"

    def rows(self, best: str) -> Iterator[tuple[str, ...]]:
        """The table's cells; of variants, each evaluation's largest mean is put into ``best``."""
        largest = {name: max(_mean(self.found(row, name)) for row in self.figures) for name in self.columns}
        for row, seeds in self.figures.items():
            cells = []
            for name in (*self.columns, MINUTES):
                values = self.found(row, name)
                wins = self.plan.compares and values and name in largest and _mean(values) == largest[name]
                cells.append(best.format(_cell(values)) if wins else _cell(values))
            whole = sum(None not in one.values() for one in seeds.values())
            yield *row, *cells, str(whole) if whole == len(seeds) else f"{whole} of {len(seeds)}"

    def write(self, output: Path) -> None:
        """Write ``results.csv``, ``table.md``, of variants ``figures/variants``, and ``report.html``."""
        from masksem_graph.report.page.writing import write_experiment

        columns = (*self.columns, MINUTES)
        with write_beside(output / "results.csv") as partial, partial.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*self.plan.axes, "seed", *columns])
            for row, seeds in self.figures.items():
                for seed, one in seeds.items():
                    values = [one.get(name) for name in columns]
                    writer.writerow([*row, seed, *("" if value is None else f"{value:.4f}" for value in values)])
        with write_beside(output / "table.md") as partial, partial.open("w") as file:
            print_whole(Console(file=file), self.table(markdown=True))
        points = {name: [self.found(row, name) for row in self.figures] for name in self.columns}
        if self.plan.compares and any(any(runs) for runs in points.values()):
            from masksem_graph.report.figures import save_figure

            picture = variants_figure(self.plan.title, self.plan.axes, list(self.figures), points)
            save_figure(picture, output / "figures" / "variants")
        reports = [f"{step.name}/report.html" for step in self.plan.steps if (output / step.name / "report.html").is_file()]
        found = {"kinds": ("text",) * len(self.plan.axes), "columns": self.titles, "rows": [*self.rows("{} (best)")]}
        write_experiment(output, name=self.plan.title, reports=reports, **found)


def summarise(plan: ExperimentPlan, output: Path) -> Summary:
    """What the finished steps of a plan found."""
    from masksem_graph.report.evaluation import read_results
    from masksem_graph.training.metrics import read_metrics

    figures: dict[Row, dict[int, dict[str, float | None]]] = defaultdict(lambda: defaultdict(dict))
    columns: dict[str, None] = {}
    for step in plan.steps:
        folder = output / step.name
        if step.missing is not None or step.command not in ("train", "evaluate"):
            continue
        one = figures[step.row][step.seed]
        if step.command == "evaluate":
            columns[step.column] = None
            one[step.column] = read_results(folder)["top1"] if finished(folder) else None
        elif finished(folder):
            one[MINUTES] = (one.get(MINUTES) or 0) + sum(epoch["seconds"] for epoch in read_metrics(folder)) / 60
    return Summary(plan, list(columns), {row: dict(seeds) for row, seeds in figures.items()})


def _cell(values: Sequence[float]) -> str:
    """``71.3 ± 0.4``, the deviation that of the runs (n - 1); the mean alone of one run."""
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{_mean(values):.1f}{deviation}" if values else "-"


def _mean(values: Sequence[float]) -> float:
    return round(statistics.fmean(values), 1) if values else float("-inf")


def variants_figure(
    title: str, axes: Sequence[str], labels: Sequence[tuple[str, ...]], points: dict[str, list[list[float]]]
) -> Any:
    """A panel for each evaluation: a curve where one number varies, else a line of points for each variant.

    ``labels`` are those of each variant, one for each of ``axes``; ``points`` has for each evaluation and variant the accuracy
    of its runs, in per cent, none where none is finished.
    """
    from matplotlib.figure import Figure  # it takes a second to import

    numbers = _numbers(labels) if len(axes) == 1 else None
    height = 3.4 if numbers else max(2.2, 0.42 * len(labels) + 1.4)
    figure = Figure(figsize=(4.6 * len(points) + 0.6, height), layout="constrained")
    panels = figure.subplots(1, len(points), squeeze=False)[0]
    for panel, (name, runs) in zip(panels, points.items(), strict=True):
        places = numbers or list(range(len(labels)))
        found = sorted((place, values) for place, values in zip(places, runs, strict=True) if values)
        where, means = [place for place, _ in found], [statistics.fmean(values) for _, values in found]
        deviations = [statistics.stdev(values) if len(values) > 1 else 0.0 for _, values in found]
        every = [(place, value) for place, values in found for value in values]
        if numbers:
            panel.errorbar(where, means, yerr=deviations, fmt="o-", capsize=3)
            panel.plot(*zip(*every, strict=True), ".", color="0.6", zorder=0)
            panel.set(xlabel=axes[0], ylabel="top-1 accuracy (%)", xticks=numbers)
        else:
            panel.errorbar(means, where, xerr=deviations, fmt="o", capsize=3)
            panel.plot([value for _, value in every], [place for place, _ in every], ".", color="0.6", zorder=0)
            for place, mean in zip(where, means, strict=True):
                panel.annotate(f"{mean:.1f}", (mean, place), xytext=(0, 6), textcoords="offset points", ha="center")
            panel.set_yticks(places, [", ".join(variant) for variant in labels] if panel is panels[0] else [""] * len(labels))
            panel.set(xlabel="top-1 accuracy (%)", ylim=(len(labels) - 0.4, -0.7))
            panel.grid(axis="y", color="0.92")
        panel.set_title(name)
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    return figure


def _numbers(labels: Sequence[tuple[str, ...]]) -> list[float] | None:
    try:
        return [float(label) for (label,) in labels]
    except ValueError:
        return None
