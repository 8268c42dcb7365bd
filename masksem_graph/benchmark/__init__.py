"""How fast a training step is, and what each design choice buys."""

from masksem_graph.benchmark.measure import BenchmarkConfig, measure
from masksem_graph.benchmark.show import show

__all__ = ["BenchmarkConfig", "measure", "show"]
