"""The picture of an ablation: every run as a point, every variant's mean and deviation."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from matplotlib.figure import Figure


def variants_figure(
    title: str, axes: Sequence[str], labels: Sequence[tuple[str, ...]], points: dict[str, list[list[float]]]
) -> Figure:
    """A panel for each evaluation: a curve where one number varies, else a line of points for each variant.

    ``labels`` are those of each variant, one for each of ``axes``; ``points`` has for each evaluation and variant the accuracy
    of its runs, in per cent, none where none is finished.
    """
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
