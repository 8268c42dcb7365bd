"""Which nodes to hide: scores, a distribution over nodes, Gumbel top-k. Nothing here sees a model."""

from masksem_graph.masking.sampler import Draw, Mask, Sampler, gumbel_top_k, score_distribution
from masksem_graph.masking.scores import Evidence, Motion, Scores, Uniform

__all__ = ["Draw", "Evidence", "Mask", "Motion", "Sampler", "Scores", "Uniform", "gumbel_top_k", "score_distribution"]
