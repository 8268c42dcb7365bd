"""What a configuration leaves open about a backbone: its scale, and whether a model has to be wrapped."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from masksem_graph import trust
from masksem_graph.backbones.base import Backbone
from masksem_graph.compose import CLASS_PATH, INIT_ARGS, Composed, is_part

WRAPPER, WRAPPED_IN = "masksem_graph.backbones.GraphModel", "masksem_graph.backbones.wrapped.GraphModel"


def complete_backbones(composed: Composed) -> None:
    """Complete the backbones: their scale is the model's, and a bare ``nn.Module`` is wrapped."""
    model = composed.fields.get("model")
    for name in ("backbone", "decoder"):
        if is_part(node := model.get(name) if isinstance(model, dict) else None):
            _complete(node, composed.scale.get(f"model.{name}", {}), f"model.{name}")


def _complete(node: dict[str, Any], scale: Mapping[str, Any], field_name: str) -> None:
    found = trust.import_class(node[CLASS_PATH], nn.Module, field=field_name)
    options = node[INIT_ARGS] = node.get(INIT_ARGS) or {}
    takes = inspect.signature(found).parameters
    if not issubclass(found, Backbone):
        if "depth" in scale and "num_layers" in takes:  # what torch_geometric calls the depth
            options.setdefault("num_layers", scale["depth"])
        node |= {CLASS_PATH: WRAPPER, INIT_ARGS: {"model": node[CLASS_PATH], "options": options}}
    elif f"{found.__module__}.{found.__qualname__}" == WRAPPED_IN:
        if inside := {key: options.pop(key) for key in list(options) if key not in takes}:
            options["options"] = {**options.get("options", {}), **inside}
    else:
        options |= {key: value for key, value in scale.items() if key in takes and key not in options}
