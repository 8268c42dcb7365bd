"""The terminal, under the name by which the reports know it."""

from masksem_graph.console import console, progress_bars

__all__ = ["console", "progress_bars"]
