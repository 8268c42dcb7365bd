"""What a positional encoding is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import Float, Int64
from torch import Tensor, nn

from masksem_graph.topology import Topology


class Encoding(nn.Module, ABC):
    """Tells a node where it stands. A new encoding is one file with one subclass, named by its ``class_path``.

    Args of every constructor, given by the builder: ``width`` (D), ``topology``, ``segments`` (Te). Options follow them.
    """

    joint_numbered: ClassVar[bool] = False
    """Whether parameters belong to a joint's number, so that they mean nothing on another topology."""

    @abstractmethod
    def forward(self) -> Float[Tensor, "#Te #V D"]:
        """The encoding, to be added to every body's nodes [Te, V, D]; an axis it does not depend on has length 1."""


@runtime_checkable
class EncodingFactory(Protocol):
    """An encoding class with its options set; the builder gives the rest."""

    def __call__(self, *, width: int, topology: Topology, segments: int) -> Encoding: ...


class AttentionBias(nn.Module, ABC):
    """Tells attention where two nodes stand to each other. A new one is one file with one subclass.

    Args of every constructor, given by the backbone: ``heads``, ``topology``, ``segments`` (Te). Options follow them.
    """

    @abstractmethod
    def forward(self, nodes: Int64[Tensor, "B n"] | None = None) -> Float[Tensor, "B heads n n"]:
        """What is added to the logits, [B or 1, heads, queries, keys].

        Args:
            nodes: which nodes are there; None for all.
        """


@runtime_checkable
class AttentionBiasFactory(Protocol):
    """A bias class with its options set; the backbone gives the rest."""

    def __call__(self, *, heads: int, topology: Topology, segments: int) -> AttentionBias: ...
