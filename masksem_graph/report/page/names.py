"""What runs and evaluations are called on their pages."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from masksem_graph.report.page.texts import at, text
from masksem_graph.report.published import Published, load_published
from masksem_graph.report.tables import preset


def data_name(data_set: Any, split: Any = None) -> str | None:
    """A data set and its split, as tables call them; of several, all of them; None where neither is known.

    Args:
        data_set: as `masksem_graph.data.config.identity` describes it, or a list of such.
        split: its split, where ``data_set`` does not say.
    """
    if isinstance(data_set, list):
        names = [name for one in data_set if (name := data_name(one, split)) is not None]
        return " + ".join(names) or None
    if isinstance(also := at(data_set, "also"), dict) and also:
        first = {name: value for name, value in data_set.items() if name != "also"}
        return data_name([first, *also.values()], split)
    if not (format := at(data_set, "format")):
        return None
    split = at(data_set, "split") or split
    published = _published()
    try:
        return published.title(published.benchmark(data_set, str(split)))
    except (KeyError, TypeError, AttributeError):
        return f"{format} {split}" if split else str(format)


def tested_on(results: dict[str, Any]) -> str:
    """The data of an evaluation."""
    split = results.get("split")
    return data_name(results.get("data_set"), split) or text(data_name({"format": results.get("data")}, split))


def run_name(config: Any) -> str | None:
    """Method and model of a run's configuration; None where it says neither."""
    method, model = part_name("method", config), part_name("model", config)
    parts = [*([method] if method else []), *([f"model {model}"] if model else [])]
    return ", ".join(parts) or None


def part_name(kind: Literal["method", "model"], config: Any) -> str | None:
    """The shipped configuration that a run's own is, or what comes nearest to a name; None where it says nothing."""
    try:
        return preset(kind, config[kind])
    except (KeyError, TypeError, AttributeError):
        return None


@cache
def _published() -> Published:
    # A page names the data of each of its evaluations, and reading the file takes longer than all the rest.
    return load_published()
