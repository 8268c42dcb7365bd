"""Backbones behind one interface."""

from masksem_graph.models.backbones.base import Backbone, BackboneFactory
from masksem_graph.models.backbones.transformer import Transformer

__all__ = ["Backbone", "BackboneFactory", "Transformer"]
