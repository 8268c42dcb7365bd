"""What a backbone is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import zip_longest
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from masksem_graph.topology import Topology

Masked = Literal["drop", "token"]


class Backbone(nn.Module, ABC):
    """Maps node features to node features. A new one is one file with one subclass, named by its ``class_path``.

    Args of every constructor, given by the builder: ``width`` (D), ``topology``, ``segments`` (Te). Options follow them.
    """

    masked: Masked = "drop"
    """What becomes of masked nodes: they are not there at all, or a learned token stands at their places.

    The encoder sees to either. With ``token``, `forward` gets all nodes, ``nodes`` being None."""

    @abstractmethod
    def forward(self, h: Float[Tensor, "B n D"], nodes: Int64[Tensor, "B n"] | None = None) -> Float[Tensor, "B n D"]:
        """Features of the nodes that are there.

        Args:
            h: embedded nodes, encodings added.
            nodes: which nodes of the graph they are (segment-major), in graph order; None where all are there.
        """

    def layers(self) -> list[list[nn.Module]]:
        """The modules of each layer, first to last: layer-wise learning rates and stochastic depth follow them.

        Layer i is the i-th members of all ``nn.ModuleList`` that the backbone holds; what is in none of them, a final norm
        for one, counts as after the last layer. To be overridden where the layers lie otherwise.
        """
        stacks = [child for child in self.children() if isinstance(child, nn.ModuleList)]
        return [[module for module in layer if module is not None] for layer in zip_longest(*stacks)]


@runtime_checkable
class BackboneFactory(Protocol):
    """A backbone class with its options set; the builder gives the rest."""

    def __call__(self, *, width: int, topology: Topology, segments: int) -> Backbone: ...


def of_no_body(backbone: Backbone, h: Float[Tensor, "B n D"], nodes: Int64[Tensor, "B n"] | None) -> Float[Tensor, "B n D"]:
    """Features of an empty batch, such as one of several processes may get; not every layer takes it.

    A body of zeros is sent through and dropped: every parameter takes part in the backward pass, as DDP wants it.
    """
    count = h.shape[1]
    places = None if nodes is None else torch.arange(count, device=h.device)[None]
    return backbone(h.new_zeros(1, count, h.shape[2]), places)[:0] + h
