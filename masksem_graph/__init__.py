"""Self-supervised learning from 3D human skeletons as spatio-temporal graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from masksem_graph.data.store import open_store
    from masksem_graph.models.io import load_encoder
    from masksem_graph.topology import load_topology

__version__ = "0.1.0"
__all__ = ["__version__", "load_encoder", "load_topology", "open_store"]

_HOMES = {"load_encoder": "models.io", "load_topology": "topology", "open_store": "data.store"}


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds; ``masksem-graph --help`` should not wait for it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
