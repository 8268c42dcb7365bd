"""A sweep's picture: every run as a point, every variant's mean and deviation."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure


def variants_figure(
    title: str, axes: Sequence[str], labels: Sequence[tuple[str, ...]], points: dict[str, list[list[float]]]
) -> Figure:
    """A panel for each evaluation: a curve where one number varies, else a line of points for each variant.

    Args:
        title: over the picture.
        axes: names of what varies.
        labels: of each variant, one an axis.
        points: evaluation -> for each variant the accuracy of its runs, in per cent; none where none is finished.
    """
    numbers = _numbers(labels) if len(axes) == 1 else None
    height = 3.4 if numbers else max(2.2, 0.42 * len(labels) + 1.4)
    figure = Figure(figsize=(4.6 * len(points) + 0.6, height), layout="constrained")
    panels = figure.subplots(1, len(points), squeeze=False)[0]
    for panel, (name, runs) in zip(panels, points.items(), strict=True):
        if numbers:
            _curve(panel, numbers, runs)
            panel.set(xlabel=axes[0], ylabel="top-1 accuracy (%)")
        else:
            names = [", ".join(variant) for variant in labels] if panel is panels[0] else [""] * len(labels)
            _lines(panel, names, runs)
            panel.set(xlabel="top-1 accuracy (%)")
        panel.set_title(name)
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    return figure


def _numbers(labels: Sequence[tuple[str, ...]]) -> list[float] | None:
    try:
        return [float(label) for (label,) in labels]
    except ValueError:
        return None


def _curve(panel: Any, numbers: list[float], runs: list[list[float]]) -> None:
    found = sorted((x, values) for x, values in zip(numbers, runs, strict=True) if values)
    where = [x for x, _ in found]
    means, deviations = [statistics.fmean(v) for _, v in found], [_deviation(v) for _, v in found]
    panel.errorbar(where, means, yerr=deviations, fmt="o-", capsize=3, color="C0")
    panel.plot([x for x, v in found for _ in v], [y for _, v in found for y in v], ".", color="0.6", zorder=0)
    panel.set_xticks(numbers)


def _lines(panel: Any, names: Sequence[str], runs: list[list[float]]) -> None:
    means = [statistics.fmean(values) if values else None for values in runs]
    best = max((mean for mean in means if mean is not None), default=None)
    for place, (values, mean) in enumerate(zip(runs, means, strict=True)):
        if mean is None:
            continue
        colour = "C1" if mean == best else "C0"
        panel.errorbar(mean, place, xerr=_deviation(values), fmt="o", capsize=3, color=colour)
        panel.plot(values, [place] * len(values), ".", color="0.6", zorder=0)
        panel.annotate(f"{mean:.1f}", (mean, place), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8)
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.4, -0.7)
    panel.grid(axis="y", color="0.92")


def _deviation(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0
