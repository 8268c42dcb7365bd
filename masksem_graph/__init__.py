"""Self-supervised learning from 3D human skeletons as spatio-temporal graphs.

import masksem_graph as mg

data = mg.SkeletonDataset("demo", split="xsub")
run = mg.pretrain(data, model="tiny", method="masksem", epochs=20, output="runs/first")
mg.evaluate(run, "linear")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from masksem_graph import visualize
    from masksem_graph.api import Result, evaluate, pretrain
    from masksem_graph.data.dataset import SkeletonDataset
    from masksem_graph.data.store import open_store
    from masksem_graph.edges import skeleton_graph
    from masksem_graph.models.io import load_encoder
    from masksem_graph.run_folder import RunFolder
    from masksem_graph.topology import load_topology

__version__ = "0.2.0"
__all__ = [
    "Result",
    "RunFolder",
    "SkeletonDataset",
    "__version__",
    "evaluate",
    "load_encoder",
    "load_topology",
    "open_store",
    "pretrain",
    "skeleton_graph",
    "visualize",
]

_HOMES = {
    "Result": "api",
    "RunFolder": "run_folder",
    "SkeletonDataset": "data.dataset",
    "evaluate": "api",
    "load_encoder": "models.io",
    "load_topology": "topology",
    "open_store": "data.store",
    "pretrain": "api",
    "skeleton_graph": "graph",
}


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds; ``masksem-graph --help`` should not wait for it.
    from importlib import import_module

    if name == "visualize":
        return import_module(f"{__name__}.visualize")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
