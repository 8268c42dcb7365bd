"""The decoder that reconstructs masked nodes; thrown away after pre-training."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from masksem_graph.backbones import CrossTransformer
from masksem_graph.graph import SkeletonData
from masksem_graph.models.build import ModelConfig, build_positions
from masksem_graph.models.encoder import gather_nodes, place_nodes
from masksem_graph.parts import build_part
from masksem_graph.topology import Topology


class Decoder(nn.Module):
    """Linear layer, mask tokens at the masked places, own encodings, a few blocks, prediction layers.

    Args:
        config: ``decoder`` are its blocks, final norm included; `CrossTransformer` for a light one.
        topologies, channels: those of the encoder.
        heads: names of the prediction layers; one name shared by all targets, or one for each.
    """

    def __init__(self, config: ModelConfig, *, topologies: Sequence[Topology], channels: int, heads: Sequence[str]) -> None:
        super().__init__()
        # Drawn before the others, and registered after them: checkpoints count parameters in this order.
        positions = build_positions(config, topologies)
        backbone = build_part(config.decoder, width=config.width, topologies=tuple(topologies))
        self.embedding = nn.Linear(config.width, config.width)
        self.mask_token = nn.Parameter(torch.empty(config.width))
        self.positions, self.backbone = positions, backbone
        layers = {name: nn.Linear(config.width, config.segment * channels) for name in heads}
        self.predict = nn.ModuleDict(layers)
        for linear in (self.embedding, *layers.values()):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(
        self,
        h: Float[Tensor, "B kept D"],
        batch: SkeletonData,
        kept: Int64[Tensor, "B kept"],
        masked: Int64[Tensor, "B masked"],
    ) -> dict[str, Float[Tensor, "B masked F"]]:
        """Predictions at the masked nodes, by head.

        Args:
            h: the student's features of the kept nodes.
            batch: the whole bodies; only its graph is looked at.
            kept: which nodes the features are of.
            masked: the nodes to predict; with any backbone but `CrossTransformer` all that are not kept get a token.
        """
        if isinstance(self.backbone, CrossTransformer):
            seen = self.positions(self.embedding(h), batch.subgraph(kept))
            asking = batch.subgraph(masked)
            hidden = self.backbone(self.positions(self.mask_token.expand(*masked.shape, -1), asking), asking, seen)
        else:
            whole = place_nodes(self.embedding(h), kept, self.mask_token, batch.nodes_per_body)
            hidden = gather_nodes(self.backbone(self.positions(whole, batch), batch), masked)
        return {name: layer(hidden) for name, layer in self.predict.items()}
