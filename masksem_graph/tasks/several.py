"""One pre-training task on several data sets, whose skeletons may differ: one encoder learns from all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from masksem_graph.data.clips import ClipBatch
from masksem_graph.errors import InputError
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.share import share_weights
from masksem_graph.tasks.pretrain import GlobalBatch, MethodConfig, Pretrain, build_pretrain
from masksem_graph.topology import Topology

OTHERS = "others."
"""What a checkpoint calls what the data sets after the first have for themselves."""


class SeveralPretrain(nn.Module):
    """The same weights on several data sets.

    What a topology decides (encodings, smoothing, edges, the number of nodes and of masked ones) and the reference clip are
    there once for each; every parameter is there once. It saves and loads as a `Pretrain` on the first data set alone does,
    with the others' references beside.

    Args:
        each: the task on each data set. All but the first give up their own weights for those of the first.

    Raises:
        InputError: a part has other weights on another skeleton.
    """

    def __init__(self, each: Sequence[Pretrain]) -> None:
        super().__init__()
        self.tasks = nn.ModuleList(each)
        self._share()

    @property
    def each(self) -> tuple[Pretrain, ...]:
        """The task on each data set."""
        return tuple(self.tasks)  # type: ignore[arg-type]

    def update_teacher(self) -> None:
        """``theta <- m theta + (1 - m) phi``; before each step."""
        self.each[0].update_teacher()

    def forward(self, clips: ClipBatch, uniform: Float[Tensor, "B N"], batch: GlobalBatch) -> dict[str, Float[Tensor, ""]]:
        """The loss of a batch, which is of one data set; see `Pretrain.forward`."""
        return self.each[batch.data_set](clips, uniform, batch)

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        first, *others = self.each
        return first.state_dict(*args, **options) | {_reference(i): task.reference for i, task in enumerate(others, 1)}

    def load_state_dict(self, state: dict[str, Any], *args: Any, **options: Any) -> Any:  # type: ignore[override]
        first, *others = self.each
        own = {_reference(i): task.reference for i, task in enumerate(others, 1)}
        for name, reference in own.items():
            reference.copy_(state[name])
        return first.load_state_dict({name: value for name, value in state.items() if name not in own}, *args, **options)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SeveralPretrain:
        # A move to another device makes new tensors of buffers, and of parameters on some devices.
        super()._apply(fn, recurse)
        self._share()
        return self

    def _share(self) -> None:
        first, *others = self.each
        for task in others:
            for part in ("student", "decoder", "teacher", "scores", "operator"):
                own, shared = getattr(task, part), getattr(first, part)
                if own is not None:
                    share_weights(own, shared)


def build_several(
    model: ModelConfig, method: MethodConfig, *, topologies: Sequence[Topology], channels: int
) -> Pretrain | SeveralPretrain:
    """The task of a configuration on one data set or several, freshly initialised as on the first alone.

    Args:
        model, method: the configuration.
        topologies: of each data set.
        channels: coordinates of a joint in all of them.

    Raises:
        InputError: a part belongs to joint numbers, and the topologies have different joints.
    """
    first = build_pretrain(model, method, topology=topologies[0], channels=channels)
    if len(topologies) == 1:
        return first
    for topology in topologies[1:]:
        _refuse_joint_numbered(first.student, topology)
    with torch.random.fork_rng(devices=[]):
        others = [build_pretrain(model, method, topology=topology, channels=channels) for topology in topologies[1:]]
    try:
        return SeveralPretrain([first, *others])
    except InputError as error:
        names = " and ".join(dict.fromkeys(topology.name for topology in topologies))
        raise InputError(f"model: {error}; expected parts of the graph alone on {names}") from None


def _refuse_joint_numbered(encoder: SkeletonEncoder, other: Topology) -> None:
    own = encoder.topology
    if own.joints != other.joints and (parts := encoder.positions.joint_numbered):
        raise InputError(
            f"model.encodings: {', '.join(parts)} belongs to the joint numbers of {own.name}, not of {other.name}; "
            "expected encodings of the graph alone, such as RestPose, Laplacian or RandomWalk (--config encodings/rest_pose)"
        )


def _reference(data_set: int) -> str:
    return f"{OTHERS}{data_set}.reference"
