"""The Poincare ball as the space that the encoder's blocks see (HA-CM)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from masksem_graph.methods.ha_cm.hyperbolic import exponential_map
from masksem_graph.models.spaces import Space


class PoincareBall(Space):
    """Nodes mapped at the origin into the Poincare ball; see `masksem_graph.methods.ha_cm.hyperbolic.exponential_map`."""

    def forward(self, h: Float[Tensor, "B n D"]) -> Float[Tensor, "B n D"]:
        return exponential_map(h)
