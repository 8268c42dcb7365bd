"""What every transform of skeletons is, and the channels that transforms change."""

from abc import abstractmethod
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch_geometric.transforms import BaseTransform

from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonData
from masksem_graph.topology import Topology

Frames: TypeAlias = Float[Tensor, "B T V C"]
Draws: TypeAlias = Float[Tensor, "B numbers"]


class SkeletonTransform(BaseTransform):
    """A change of the bodies of a batch, all at once, on their device.

    A transform draws nothing itself. It says how many uniform numbers it needs for each clip, and the caller draws them. So a
    resumed run is equal to an uninterrupted one, and two processes are equal to one, for a transform of your own too.

    On its own it is a torch_geometric transform: ``Compose([Rotate(y=0.3), Mirror()])(data)``.

    Attributes:
        numbers: uniform numbers in [0, 1) that it needs for each clip.
        linear: whether it is a fixed linear map of each frame, so that it acts on velocities as on positions. Where targets
            are differentiated before the resize, every transform must be linear.
    """

    numbers: int = 0
    linear: bool = False

    @abstractmethod
    def apply(self, frames: Frames, uniform: Draws, topology: Topology) -> Frames:
        """Transform bodies. The bodies of a clip have equal rows of numbers.

        Args:
            frames: coordinates of all input joints of the topology, then scores where it has any.
            uniform: the numbers of each body's clip, on the device of the frames.
            topology: the skeleton.

        Raises:
            InputError: this transform cannot be used on this skeleton.
        """

    def of_clips(
        self, frames: Frames, uniform: Float[Tensor, "S numbers"], sequence: Int64[Tensor, " B"], topology: Topology
    ) -> Frames:
        """As `apply`, with the numbers of each clip, and the clip of each body, ascending. The loader calls this."""
        out: Any = self.apply(frames, uniform.to(frames.device, non_blocking=True)[sequence], topology)
        if not isinstance(out, Tensor) or out.shape != frames.shape:
            found = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise InputError(f"augment: {type(self).__name__}: expected frames {list(frames.shape)}, found {found}")
        return out

    def forward(self, data: SkeletonData, uniform: Float[Tensor, "S numbers"] | None = None) -> SkeletonData:
        """Transform the frames, and with them velocity and acceleration where the data have them.

        Args:
            data: the bodies of one clip or of several.
            uniform: numbers for each clip; drawn from torch's global generator where omitted.

        Raises:
            InputError: this transform cannot be used on this skeleton, or not on velocities.
        """
        if uniform is None:
            uniform = torch.rand(data.num_sequences, self.numbers)
        uniform = uniform.to(data.frames.device)
        out = data.with_frames(self.of_clips(data.frames, uniform, data.sequence, data.topology))
        for name in ("velocity", "acceleration"):
            if name in data:
                if not self.linear:
                    raise InputError(
                        f"augment: {type(self).__name__} does not act on velocities as on positions; expected only linear "
                        "transforms with targets.differentiate: before_resize"
                    )
                out[name] = self.of_clips(data[name], uniform, data.sequence, data.topology)
        return out


def coordinates_of(frames: Frames, topology: Topology) -> Float[Tensor, "B T V d"]:
    """The channels that say where a joint is: two of a skeleton in an image, else three; `InputError` if there are fewer."""
    found, expected = frames.shape[-1], topology.dimensions
    if found < expected:
        raise InputError(f"{topology.name}: expected {expected} coordinates a joint ({topology.units}), found {found}")
    return frames[..., :expected]


def with_coordinates(frames: Frames, coordinates: Float[Tensor, "B T V d"]) -> Frames:
    """The frames with other coordinates; what stands behind them, such as a score, stays."""
    changed = coordinates.shape[-1]
    return coordinates if changed == frames.shape[-1] else torch.cat([coordinates, frames[..., changed:]], -1)
