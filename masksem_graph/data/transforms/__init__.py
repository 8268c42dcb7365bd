"""Transforms of skeletons, each a torch_geometric transform."""

from masksem_graph.data.transforms.base import SkeletonTransform
from masksem_graph.data.transforms.drop import DropAxis, DropJoints
from masksem_graph.data.transforms.flip import Mirror, ReverseTime
from masksem_graph.data.transforms.linear_maps import Rotate, Shear
from masksem_graph.data.transforms.noise import Noise
from masksem_graph.data.transforms.scale import Scale
from masksem_graph.data.transforms.view_frame import ViewFrame, ViewName, ViewOf, reference_pose, to_view, view_frames

__all__ = [
    "DropAxis",
    "DropJoints",
    "Mirror",
    "Noise",
    "ReverseTime",
    "Rotate",
    "Scale",
    "Shear",
    "SkeletonTransform",
    "ViewFrame",
    "ViewName",
    "ViewOf",
    "reference_pose",
    "to_view",
    "view_frames",
]
