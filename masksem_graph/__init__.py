"""Self-supervised learning from 3D human skeletons as spatio-temporal graphs.

import masksem_graph as mg

data = mg.SkeletonDataset("demo", split="xsub")
run = mg.pretrain(data, model="tiny", method="masksem", epochs=20, output="runs/first")
mg.evaluate(run, "linear")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from masksem_graph import trust as trust
    from masksem_graph import visualize as visualize
    from masksem_graph.api import Result as Result
    from masksem_graph.api import evaluate as evaluate
    from masksem_graph.api import pretrain as pretrain
    from masksem_graph.data.dataset import SkeletonDataset as SkeletonDataset
    from masksem_graph.data.store import open_store as open_store
    from masksem_graph.edges import skeleton_graph as skeleton_graph
    from masksem_graph.live.recogniser import Recogniser as Recogniser
    from masksem_graph.models.io import load_encoder as load_encoder
    from masksem_graph.run_folder import RunFolder as RunFolder
    from masksem_graph.topology import load_topology as load_topology

__version__ = "0.2.0"

_HOMES = {
    "Recogniser": "live.recogniser",
    "Result": "api",
    "RunFolder": "run_folder",
    "SkeletonDataset": "data.dataset",
    "evaluate": "api",
    "load_encoder": "models.io",
    "load_topology": "topology",
    "open_store": "data.store",
    "pretrain": "api",
    "skeleton_graph": "edges",
    "trust": "trust",
    "visualize": "visualize",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds; ``masksem-graph --help`` should not wait for it.
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__name__}.{_HOMES[name]}")
    return home if name == _HOMES[name] else getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
