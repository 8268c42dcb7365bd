"""HA-CM's own parts (Spatial Hierarchy and Temporal Attention Guided Cross Masking, arXiv 2409.17951)."""

from masksem_graph.methods.ha_cm.alternating import AlternatingScores
from masksem_graph.methods.ha_cm.attention import AttentionScores
from masksem_graph.methods.ha_cm.contrast import CrossContrast
from masksem_graph.methods.ha_cm.hierarchy import HierarchyScores
from masksem_graph.methods.ha_cm.space import PoincareBall
from masksem_graph.methods.ha_cm.target import InPoincareBall

__all__ = ["AlternatingScores", "AttentionScores", "CrossContrast", "HierarchyScores", "InPoincareBall", "PoincareBall"]
