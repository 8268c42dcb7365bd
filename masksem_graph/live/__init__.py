"""Recognition of what a tracker sees now: frames in, class probabilities out, a few times a second."""

from masksem_graph.live.recogniser import Answer, Recogniser
from masksem_graph.live.tracks import Person

__all__ = ["Answer", "Person", "Recogniser"]
