"""Recipes and ablations: a YAML file becomes steps, steps become processes, results become tables."""

from masksem_graph.experiments.plan import ExperimentPlan, load_plan
from masksem_graph.experiments.run import Stopped, finished, run_steps
from masksem_graph.experiments.steps import Step, arguments
from masksem_graph.experiments.summary import Summary, summarise

__all__ = ["ExperimentPlan", "Step", "Stopped", "Summary", "arguments", "finished", "load_plan", "run_steps", "summarise"]
