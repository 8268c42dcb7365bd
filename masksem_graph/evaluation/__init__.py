"""From a run and a protocol to results: seeds, labelled subsets, scores that can be added up, classifiers that can be used."""

from masksem_graph.evaluation.config import SCRATCH, EvaluateConfig
from masksem_graph.evaluation.run import evaluate

__all__ = ["SCRATCH", "EvaluateConfig", "evaluate"]
