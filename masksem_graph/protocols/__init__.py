"""Evaluation protocols, all over the same encoder."""

from masksem_graph.protocols.base import Evaluation, Outcome, Protocol
from masksem_graph.protocols.finetune import FineTune
from masksem_graph.protocols.frozen import KNN, Linear, OwnHead, knn_scores

__all__ = ["KNN", "Evaluation", "FineTune", "Linear", "Outcome", "OwnHead", "Protocol", "knn_scores"]
