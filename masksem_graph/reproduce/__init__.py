"""A whole set of experiments as data: what to pre-train, what to evaluate, which tables to print."""

from masksem_graph.reproduce.recipe import Recipe, Step, load_recipe, steps_of

__all__ = ["Recipe", "Step", "load_recipe", "steps_of"]
