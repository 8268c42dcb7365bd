"""Classification: an encoder with a head on it."""

from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.graph import SkeletonData
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.heads import Head


class Classify(nn.Module):
    """Class scores of clips.

    Args:
        encoder: gives the nodes' features.
        head: pools them and scores the classes.
    """

    def __init__(self, *, encoder: SkeletonEncoder, head: Head) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, batch: SkeletonData) -> Float[Tensor, "S classes"]:
        return self.scored(self.encoder(batch), self.encoder.absent_features(batch), batch)

    def scored(
        self, features: Float[Tensor, "B N D"], absent: Float[Tensor, "1 N D"] | None, batch: SkeletonData
    ) -> Float[Tensor, "S classes"]:
        """Class scores from the encoder's features, and its `SkeletonEncoder.absent_features`."""
        return self.head(self.head.pool(features, batch.sequence, batch.num_sequences, absent))

    def layers(self) -> list[list[nn.Parameter]]:
        """Parameters by depth; what follows the encoder's last layer belongs with the head, at the full learning rate."""
        *inner, last = self.encoder.layers()
        return [*inner, [*last, *self.head.parameters()]]
