"""``torch.compile`` where it pays: the layers of a network, which see plain tensors, while batches are objects."""

from __future__ import annotations

from masksem_graph.models.decoder import Decoder
from masksem_graph.models.encoder import SkeletonEncoder


def compile_layers(network: SkeletonEncoder | Decoder) -> None:
    """Compile each layer of a network's backbone in place; bodies per batch vary, so sizes stay symbolic."""
    for layer in network.backbone.layers():
        for module in layer:
            module.compile(dynamic=True)
