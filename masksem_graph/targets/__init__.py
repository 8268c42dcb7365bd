"""What is reconstructed at masked nodes."""

from masksem_graph.targets.base import Target, standardise
from masksem_graph.targets.motion import Coordinates, VelocityAcceleration, acceleration, velocity

__all__ = ["Coordinates", "Target", "VelocityAcceleration", "acceleration", "standardise", "velocity"]
