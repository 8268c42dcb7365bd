"""Graph-aware positions: where a node stands in the body and in time."""

from masksem_graph.encodings.base import AttentionBias, AttentionBiasFactory, Encoding, EncodingFactory
from masksem_graph.encodings.concatenate import Concatenate
from masksem_graph.encodings.hop_bias import HopBias
from masksem_graph.encodings.laplacian import Laplacian
from masksem_graph.encodings.learned import Learned
from masksem_graph.encodings.random_walk import RandomWalk
from masksem_graph.encodings.rest_pose import RestPose
from masksem_graph.encodings.sinusoidal import Sinusoidal

__all__ = [
    "AttentionBias",
    "AttentionBiasFactory",
    "Concatenate",
    "Encoding",
    "EncodingFactory",
    "HopBias",
    "Laplacian",
    "Learned",
    "RandomWalk",
    "RestPose",
    "Sinusoidal",
]
