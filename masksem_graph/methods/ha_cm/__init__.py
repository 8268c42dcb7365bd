"""HA-CM's own parts (Spatial Hierarchy and Temporal Attention Guided Cross Masking, arXiv 2409.17951)."""

from masksem_graph.methods.ha_cm.contrast import CrossContrast
from masksem_graph.methods.ha_cm.hyperbolic import InPoincareBall, PoincareBall
from masksem_graph.methods.ha_cm.scores import AlternatingScores, AttentionScores, HierarchyScores

__all__ = ["AlternatingScores", "AttentionScores", "CrossContrast", "HierarchyScores", "InPoincareBall", "PoincareBall"]
