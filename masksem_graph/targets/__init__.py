"""What is reconstructed at masked nodes."""

from masksem_graph.targets.base import Target
from masksem_graph.targets.motion import Coordinates, VelocityAcceleration, acceleration, velocity
from masksem_graph.targets.standardise import standardise

__all__ = ["Coordinates", "Target", "VelocityAcceleration", "acceleration", "standardise", "velocity"]
