"""Where a clip differs from the average motion."""

from masksem_graph.saliency.gradcam import GradCam, ReleasedGradCam, gradcam, released_gradcam

__all__ = ["GradCam", "ReleasedGradCam", "gradcam", "released_gradcam"]
