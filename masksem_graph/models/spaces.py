"""The space in which the encoder's first block meets the embedded nodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.hyperbolic import exponential_map


class Space(nn.Module, ABC):
    """Maps embedded nodes, encodings added, to what the backbone sees. A new one is one file with one subclass.

    Args of every constructor, given by the builder: ``width`` (D).
    """

    @abstractmethod
    def forward(self, h: Float[Tensor, "B n D"]) -> Float[Tensor, "B n D"]:
        """The nodes' points."""


@runtime_checkable
class SpaceFactory(Protocol):
    """A space's class with its options set; the builder gives the rest."""

    def __call__(self, *, width: int) -> Space: ...


class Euclidean(Space):
    """Nodes as they are.

    Args:
        width: not used.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()

    def forward(self, h: Float[Tensor, "B n D"]) -> Float[Tensor, "B n D"]:
        return h


class PoincareBall(Space):
    """Nodes mapped at the origin into the Poincare ball, as in HA-CM; see `masksem_graph.hyperbolic.exponential_map`.

    Args:
        width: not used.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()

    def forward(self, h: Float[Tensor, "B n D"]) -> Float[Tensor, "B n D"]:
        return exponential_map(h)
