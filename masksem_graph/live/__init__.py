"""Recognition of what a tracker sees now: frames in, class probabilities out, a few times a second."""

from masksem_graph.live.person import Person
from masksem_graph.live.recogniser import Answer, Recogniser

__all__ = ["Answer", "Person", "Recogniser"]
