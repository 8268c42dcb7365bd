"""Graph-aware positions: where a node stands in the body and in time."""

from masksem_graph.encodings.base import AttentionBias, AttentionBiasFactory, Encoding, EncodingFactory
from masksem_graph.encodings.hop_bias import HopBias
from masksem_graph.encodings.projected import Laplacian, RandomWalk, RestPose
from masksem_graph.encodings.tables import Learned, Sinusoidal
from masksem_graph.encodings.together import Concatenate, Positions

__all__ = [
    "AttentionBias",
    "AttentionBiasFactory",
    "Concatenate",
    "Encoding",
    "EncodingFactory",
    "HopBias",
    "Laplacian",
    "Learned",
    "Positions",
    "RandomWalk",
    "RestPose",
    "Sinusoidal",
]
