"""Where a clip differs from the average motion."""

from masksem_graph.saliency.gradcam import GradCam, gradcam

__all__ = ["GradCam", "gradcam"]
