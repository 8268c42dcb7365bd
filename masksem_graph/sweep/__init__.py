"""Ablations: one experiment, many variants and seeds, a table at the end."""

from masksem_graph.sweep.plan import Cell, Plan, Step, load_plan
from masksem_graph.sweep.run import Interrupted, run_cells
from masksem_graph.sweep.summary import Summary, summarise

__all__ = ["Cell", "Interrupted", "Plan", "Step", "Summary", "load_plan", "run_cells", "summarise"]
