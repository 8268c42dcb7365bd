"""Evaluation protocols, all over the same encoder."""

from masksem_graph.protocols.base import Evaluation, Outcome, Protocol
from masksem_graph.protocols.finetune import FineTune
from masksem_graph.protocols.knn import KNN, knn_scores
from masksem_graph.protocols.linear import Linear
from masksem_graph.protocols.own_head import OwnHead

__all__ = ["KNN", "Evaluation", "FineTune", "Linear", "Outcome", "OwnHead", "Protocol", "knn_scores"]
