"""Backbones behind one interface."""

from masksem_graph.backbones.base import Backbone, BackboneFactory
from masksem_graph.backbones.gcn import GAT, GCN
from masksem_graph.backbones.gps import GPS
from masksem_graph.backbones.message_passing import ConvBackbone, ConvBlock, MessagePassingBackbone
from masksem_graph.backbones.stgcn import STGCN
from masksem_graph.backbones.transformer import CrossTransformer, Transformer
from masksem_graph.backbones.wrapped import GraphModel, graph_model

__all__ = [
    "GAT",
    "GCN",
    "GPS",
    "STGCN",
    "Backbone",
    "BackboneFactory",
    "ConvBackbone",
    "ConvBlock",
    "CrossTransformer",
    "GraphModel",
    "MessagePassingBackbone",
    "Transformer",
    "graph_model",
]
