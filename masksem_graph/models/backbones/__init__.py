"""Backbones behind one interface."""

from masksem_graph.models.backbones.base import Backbone, BackboneFactory
from masksem_graph.models.backbones.gat import GAT
from masksem_graph.models.backbones.gcn import GCN
from masksem_graph.models.backbones.gps import GPS
from masksem_graph.models.backbones.stgcn import STGCN
from masksem_graph.models.backbones.transformer import Transformer

__all__ = ["GAT", "GCN", "GPS", "STGCN", "Backbone", "BackboneFactory", "Transformer"]
