"""The model card of a run: what it is, how it was made, and what its own evaluations found; ``card.md`` is its text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, Template
from tabulate import tabulate

from masksem_graph.report.names import line, markdown, number
from masksem_graph.report.tables import part_name, protocol_title

TAGS = ["skeleton", "action-recognition", "self-supervised-learning", "graph"]


def model_card(
    name: str, *, licence: str, about: dict[str, Any], config: dict[str, Any], results: Sequence[dict[str, Any]]
) -> str:
    """A README.md as the Hugging Face Hub reads it.

    Args:
        name, licence: ``owner/name``, and that of the weights, as the hub abbreviates it.
        about: what an export says of the run, see `masksem_graph.exporting.write.describe`.
        config: of its pre-training; empty where that is not known.
        results: of its evaluations, see `masksem_graph.report.evaluation.read_results`.
    """
    metrics = [
        {
            "task": {"type": "other", "name": line(protocol_title(one["protocol"]))},
            "dataset": {"type": line(one["data"]), "name": line(one["data"]), "split": line(one["split"])},
            "metrics": [{"type": "accuracy", "name": "top-1", "value": round(one["top1"], 2)}],
        }
        for one in results
    ]
    meta: dict[str, Any] = {"library_name": "masksem-graph", "license": licence, "tags": TAGS}
    meta |= {"model-index": [{"name": name, "results": metrics}]} if metrics else {}
    facts = {
        "joints": ", ".join(about["joints"]),
        "coordinates": f"{about['channels']} a joint, in {about['units']}",
        "origin, view": f"{about['origin']}, {about['view']}",
        "frames, segment": f"{about['frames']}, {about['segment']}",
        "classes": ", ".join(about["classes"]),
        "backbone": about["backbone"],
        "method": part_name("method", config),
        "epochs": (config.get("train") or {}).get("epochs"),
        "licence of the weights": licence,
    }
    text = (Path(__file__).parent / "card.md").read_text(encoding="utf-8")
    template = Template(text, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    return template.render(
        about,
        name=name,
        title=markdown(name.rpartition("/")[2]),
        meta=yaml.safe_dump(meta, sort_keys=False, allow_unicode=True),
        facts=_table(["", ""], [[fact, value] for fact, value in facts.items() if value not in (None, "")]),
        results=_results(results) if results else "",
    )


def _results(results: Sequence[dict[str, Any]]) -> str:
    """Top-1 in per cent with interval, and the floors from the same clips."""
    floors = sorted({floor for one in results for floor in one.get("floors", {})})
    rows = []
    for one in results:
        found = one.get("floors", {})
        protocol = protocol_title(one["protocol"]) + (f", {one['pool']} pooled" if one.get("pool") else "")
        beside = [number(found[floor]) if found.get(floor) is not None else "" for floor in floors]
        interval = " to ".join(map(number, one["top1_interval"]))
        rows.append([one["data"], one["split"], protocol, len(one["seeds"]), number(one["top1"]), interval, *beside])
    heads = ["data", "split", "protocol", "seeds", "top-1", "95 %", *(f"floor: {floor}" for floor in floors)]
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = [[markdown(value) for value in row] for row in rows]
    return tabulate(cells, [markdown(head) for head in heads], tablefmt="github", disable_numparse=True)
