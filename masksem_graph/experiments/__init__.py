"""Recipes and ablations: a YAML file becomes steps, steps become processes, results become tables."""

from masksem_graph.experiments.commands import arguments
from masksem_graph.experiments.plan import Plan, load_plan
from masksem_graph.experiments.run import Interrupted, finished, run_steps
from masksem_graph.experiments.steps import Step
from masksem_graph.experiments.summary import Summary, summarise

__all__ = ["Interrupted", "Plan", "Step", "Summary", "arguments", "finished", "load_plan", "run_steps", "summarise"]
