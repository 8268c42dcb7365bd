"""The model card of a run: what it is, how it was made, and what its own evaluations found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from tabulate import tabulate

from masksem_graph.report.names import line, markdown
from masksem_graph.report.tables import part_name, protocol_title

TAGS = ["skeleton", "action-recognition", "self-supervised-learning", "graph"]

TEXT = """---
{meta}---

# {title}

{what}, for 3D human skeletons in motion, made with [masksem_graph](https://arxiv.org/abs/2508.12948).

```python
import masksem_graph as mg

encoder = mg.load_encoder("hf://{name}")
encoder.encode(frames)  # [F, {joints}, {channels}] as recorded, of any length -> [{width}]
```

{predict}{about}

## Results

{results}
"""


def model_card(
    name: str, *, licence: str, about: dict[str, Any], config: dict[str, Any], results: Sequence[dict[str, Any]]
) -> str:
    """A README.md as the Hugging Face Hub reads it.

    Args:
        name: ``owner/name``.
        licence: of the weights, as the hub abbreviates it.
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
    classes = about["classes"]
    fields = {
        "joints": ", ".join(about["joints"]),
        "coordinates": f"{about['channels']} a joint, in {about['units']}",
        "origin, view": f"{about['origin']}, {about['view']}",
        "frames, segment": f"{about['frames']}, {about['segment']}",
        "classes": ", ".join(classes),
        "backbone": about["backbone"],
        "method": part_name("method", config),
        "epochs": (config.get("train") or {}).get("epochs"),
        "licence of the weights": licence,
    }
    return TEXT.format(
        meta=yaml.safe_dump(meta, sort_keys=False, allow_unicode=True),
        title=markdown(name.rpartition("/")[2]),
        what=f"An encoder{f' and a classifier of {len(classes)} actions' if classes else ''}",
        name=name,
        joints=len(about["joints"]),
        channels=about["channels"],
        width=about["width"],
        predict=f"    masksem-graph predict CLIP --run hf://{name}\n\n" if classes else "",
        about=_table(["", ""], [[key, value] for key, value in fields.items() if value not in (None, "")]),
        results=_results(results) if results else "No evaluation of it was saved beside it.",
    )


def _results(results: Sequence[dict[str, Any]]) -> str:
    """Top-1 in per cent with interval, and the floors from the same clips."""
    floors = sorted({floor for one in results for floor in one.get("floors", {})})
    rows = []
    for one in results:
        low, high = one["top1_interval"]
        pool = f", {one['pool']} pooled" if one.get("pool") else ""
        row = [one["data"], one["split"], protocol_title(one["protocol"]) + pool, len(one["seeds"]), f"{one['top1']:.1f}"]
        rows.append([*row, f"{low:.1f} to {high:.1f}", *(_number(one.get("floors", {}).get(floor)) for floor in floors)])
    heads = ["data", "split", "protocol", "seeds", "top-1", "95 %", *(f"floor: {floor}" for floor in floors)]
    return _table(heads, rows)


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.1f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = [[markdown(value) for value in row] for row in rows]
    return tabulate(cells, [markdown(head) for head in heads], tablefmt="github", disable_numparse=True)
