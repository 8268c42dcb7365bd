"""Temporal attention of HA-CM: which joint each pair of segments attends to."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.masking.scores import Evidence, Scores


class AttentionScores(Scores):
    r"""Attention between segments, softmaxed over the joints, summed over the segments that ask (HA-CM, as its code has it).

    :math:`\eta_{sv} = \sum_t \mathrm{softmax}_v ( q_{tv} \cdot k_{sv} \sqrt{D} )`, with q and k two linear maps of the
    embedded nodes, encodings added.

    The maps reach the loss through a sort alone, so no gradient gets to them: they stay as drawn, and are saved with the run.
    """

    needs_embeddings = True

    def build(self, *, width: int) -> None:
        self.query, self.key = (nn.Linear(width, width).requires_grad_(False) for _ in range(2))
        for linear in (self.query, self.key):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, evidence: Evidence) -> Float[Tensor, "B Te V"]:
        if evidence.embedded is None:
            raise ValueError("AttentionScores needs the student's embedded nodes")
        h = evidence.embedded
        q, k = (linear(h).float().transpose(1, 2) for linear in (self.query, self.key))
        logits = q @ k.transpose(2, 3) * h.shape[-1] ** 0.5
        return logits.softmax(1).sum(2).transpose(1, 2)
