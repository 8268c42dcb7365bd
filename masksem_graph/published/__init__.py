"""Checkpoints of the authors of MAMP and MaskSem, in both directions."""

from masksem_graph.published.checkpoint import Published, read_published
from masksem_graph.published.exporting import export_run
from masksem_graph.published.importing import import_run

__all__ = ["Published", "export_run", "import_run", "read_published"]
