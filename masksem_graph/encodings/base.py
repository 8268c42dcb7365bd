"""What a positional encoding is."""

from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.graph import SkeletonData


class Encoding(nn.Module, ABC):
    """Tells a node where it stands. A new encoding is one file with one subclass, named by its ``class_path``.

    Every constructor takes ``width`` (D) from the builder. One that names ``joints`` is given the names of all joints that the
    encoder is trained on, and one that names ``segments`` is given Te. Options follow them. The skeleton comes with the batch.
    """

    @abstractmethod
    def forward(self, batch: SkeletonData) -> Float[Tensor, "#Te #V D"]:
        """The encoding of each node of a whole body; an axis that it does not depend on has length 1."""


@runtime_checkable
class EncodingFactory(Protocol):
    """An encoding class with its options set; the builder gives the rest."""

    def __call__(self, *, width: int, joints: tuple[str, ...], segments: int) -> Encoding: ...


class AttentionBias(nn.Module, ABC):
    """Tells attention where two nodes stand to each other. A new one is one file with one subclass.

    Every constructor takes ``heads`` from the backbone. Options follow.
    """

    @abstractmethod
    def forward(self, batch: SkeletonData) -> Float[Tensor, "#B heads n n"]:
        """What is added to the logits, [B or 1, heads, queries, keys]; `SkeletonData.nodes` says which nodes are there."""


@runtime_checkable
class AttentionBiasFactory(Protocol):
    """A bias class with its options set; the backbone gives the rest."""

    def __call__(self, *, heads: int) -> AttentionBias: ...
