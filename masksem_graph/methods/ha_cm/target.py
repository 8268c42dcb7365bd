"""Another target, mapped into the Poincare ball (HA-CM)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from masksem_graph.graph import SkeletonData
from masksem_graph.methods.ha_cm.hyperbolic import exponential_map
from masksem_graph.targets.base import Target


class InPoincareBall(Target):
    """A target's vector of each joint in each frame, mapped at the origin into the Poincare ball.

    The map shortens a vector of length r to tanh(r): a velocity of centimetres a frame hardly changes.

    Args:
        target: what is mapped.
    """

    def __init__(self, *, target: Target) -> None:
        self.target = target
        self.before_resize = target.before_resize

    @property
    def weights(self) -> dict[str, float]:
        return self.target.weights

    def values(self, batch: SkeletonData) -> dict[str, Float[Tensor, "B T J C"]]:
        return {name: exponential_map(values) for name, values in self.target.values(batch).items()}
