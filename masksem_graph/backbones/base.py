"""What a backbone is."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch, SkeletonData
from masksem_graph.topology import Topology

Masked = Literal["drop", "token"]


class Backbone(nn.Module, ABC):
    """Maps node features to node features. A new one is one file with one subclass, named by its ``class_path``.

    Every constructor takes ``width`` (D) from the builder. Options follow. The skeleton comes with the batch.
    """

    masked: Masked = "drop"
    """With ``drop`` masked nodes are not there. With ``token`` `forward` gets all nodes, a learned token in their places."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return type(self).__name__

    @abstractmethod
    def forward(self, h: Float[Tensor, "B n D"], batch: SkeletonData) -> Float[Tensor, "B n D"]:
        """Features of the nodes that are there (`SkeletonData.nodes`, None for all), encodings added to ``h``."""

    def layers(self) -> list[list[nn.Module]]:
        """The modules of each layer, first to last: layer-wise learning rates and stochastic depth follow them.

        Layers are found by ``nn.ModuleList``, see docs/backbones.md. Override this method where they lie otherwise.
        """
        if found := list(_layers(self)):
            return found
        warnings.warn(f"{self.name}: no nn.ModuleList found, so all of it counts as one layer", stacklevel=2)
        return [[self]]

    def compile_layers(self) -> None:
        """``torch.compile`` each layer in place; bodies per batch vary, so sizes stay symbolic."""
        for layer in self.layers():
            for module in layer:
                module.compile(dynamic=True)


def _layers(module: nn.Module) -> Iterator[list[nn.Module]]:
    children = list(module.children())
    lists = [child for child in children if isinstance(child, nn.ModuleList)]
    for child in children:
        if lists and child is lists[0]:
            yield from ([part for part in layer if part is not None] for layer in zip_longest(*lists))
        elif not isinstance(child, nn.ModuleList):
            yield from _layers(child)


@runtime_checkable
class BackboneFactory(Protocol):
    """A backbone class with its options set; the builder gives the rest."""

    def __call__(self, *, width: int, topologies: tuple[Topology, ...]) -> Backbone: ...


def of_no_body(backbone: Backbone, h: Float[Tensor, "B n D"], batch: SkeletonData) -> Float[Tensor, "B n D"]:
    """Features of an empty batch, such as one of several processes may get and not every layer takes.

    A body of zeros is sent through and dropped, so every parameter takes part in the backward pass, as DDP wants it. Running
    statistics and the random state stay as they are.
    """
    nothing = h.new_zeros(1, batch.segments, len(batch.topology.inputs), 1)
    one = SkeletonBatch.from_frames(nothing, topology=batch.topology, segment=1)
    if batch.nodes is not None:
        one = one.subgraph(torch.arange(h.shape[1], device=h.device)[None])
    with evaluating(backbone):
        return backbone(h.new_zeros(1, *h.shape[1:]), one)[:0] + h


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """No part is in training mode within; after that each is as it was."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def check_heads(width: int, heads: int) -> None:
    """Refuse a width that cannot be shared out among the heads."""
    if heads < 1 or width % heads:
        raise InputError(f"heads: expected a divisor of the width {width}, found {heads}")


def xavier_linear(module: nn.Module) -> None:
    """Start a linear layer as MAE and the authors of MAMP do; for ``Module.apply``."""
    # A fixed small deviation barely learns in a few thousand steps at width 128.
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
