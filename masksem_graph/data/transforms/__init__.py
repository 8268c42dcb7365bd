"""Transforms of skeletons: one class a file, each a torch_geometric transform."""

from masksem_graph.data.transforms.base import SkeletonTransform
from masksem_graph.data.transforms.drop_axis import DropAxis
from masksem_graph.data.transforms.drop_joints import DropJoints
from masksem_graph.data.transforms.mirror import Mirror
from masksem_graph.data.transforms.noise import Noise
from masksem_graph.data.transforms.reverse_time import ReverseTime
from masksem_graph.data.transforms.rotate import Rotate
from masksem_graph.data.transforms.scale import Scale
from masksem_graph.data.transforms.shear import Shear
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
