"""What stands on the encoder when it is evaluated."""

from abc import ABC, abstractmethod
from typing import Any, Protocol, runtime_checkable

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from masksem_graph.models.pool import ReadOut, pooled


class Head(nn.Module, ABC):
    """From the node features of a batch of bodies to class scores of its sequences, in two steps: ``head(head.pool(...))``.

    A new one is one class, named by its ``class_path``. Args of every constructor, given by the builder: ``width`` (D),
    ``joints`` (V), ``classes``. Options follow them, and `options` gives them back.

    Attributes:
        classes: how many classes are scored.
    """

    classes: int

    def options(self) -> dict[str, Any]:
        """The constructor's arguments beside those that the builder gives: what a saved head is built from again."""
        return {}

    @abstractmethod
    def pool(
        self,
        features: Float[Tensor, "B N D"],
        sequence: Int64[Tensor, " B"],
        sequences: int,
        absent: Float[Tensor, "1 N D"] | None = None,
    ) -> Float[Tensor, "S P"]:
        """One vector a sequence, of the features of all nodes of all its bodies; see `masksem_graph.models.pool.pooled`."""

    @abstractmethod
    def forward(self, pooled: Float[Tensor, "S P"]) -> Float[Tensor, "S classes"]:
        """Class scores, before any softmax."""


@runtime_checkable
class HeadFactory(Protocol):
    """A head class with its options set; the builder gives the rest."""

    def __call__(self, *, width: int, joints: int, classes: int) -> Head: ...


class LinearHead(Head):
    """A pooled feature, BatchNorm without affine, then a linear layer: the linear probe of MAE and MAMP.

    Args:
        width: D.
        joints: V; only for ``read: joints``.
        classes: how many.
        norm: False leaves the BatchNorm out.
        read: the mean over nodes and bodies, or joints kept apart.
    """

    def __init__(self, *, width: int, joints: int = 0, classes: int, norm: bool = True, read: ReadOut = "mean") -> None:
        super().__init__()
        self.read, self.joints, self.classes = read, joints, classes
        width *= joints if read == "joints" else 1
        self.norm = nn.BatchNorm1d(width, affine=False, eps=1e-6) if norm else nn.Identity()
        self.linear = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def options(self) -> dict[str, Any]:
        return {"norm": not isinstance(self.norm, nn.Identity), "read": self.read}

    def pool(self, features: Tensor, sequence: Tensor, sequences: int, absent: Tensor | None = None) -> Tensor:
        return pooled(features, sequence, sequences, absent, pool=self.read, joints=self.joints)

    def forward(self, pooled: Float[Tensor, "S P"]) -> Float[Tensor, "S classes"]:
        return self.linear(self.norm(pooled))


class MLPHead(Head):
    """Joints kept apart: mean over time and bodies, linear to ``hidden``, BatchNorm, ReLU, linear (MAMP's fine-tuning head).

    Args:
        width: D.
        joints: V.
        classes: how many.
        hidden: width between the two linear layers.
        dropout: of node features, before anything else.
    """

    def __init__(self, *, width: int, joints: int, classes: int, hidden: int = 2048, dropout: float = 0.3) -> None:
        super().__init__()
        self.joints, self.hidden, self.classes = joints, hidden, classes
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(joints * width, hidden)
        self.norm = GlobalBatchNorm(hidden)
        self.classify = nn.Linear(hidden, classes)
        for layer in (self.project, self.classify):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def options(self) -> dict[str, Any]:
        return {"hidden": self.hidden, "dropout": self.dropout.p}

    def pool(self, features: Tensor, sequence: Tensor, sequences: int, absent: Tensor | None = None) -> Tensor:
        features, absent = self.dropout(features), None if absent is None else self.dropout(absent)
        return pooled(features, sequence, sequences, absent, pool="joints", joints=self.joints)

    def forward(self, pooled: Float[Tensor, "S P"]) -> Float[Tensor, "S classes"]:
        # BatchNorm takes the bias out again: its gradient is rounding noise, which Adam would blow up to full steps.
        hidden = F.linear(pooled, self.project.weight, self.project.bias.detach())
        return self.classify(F.relu(self.norm(hidden)))


class GlobalBatchNorm(nn.BatchNorm1d):
    """BatchNorm over the batch of all processes, which may hold different numbers of rows; with one process plain BatchNorm.

    Torch's own SyncBatchNorm knows no CPU.
    """

    def forward(self, input: Float[Tensor, "S P"]) -> Float[Tensor, "S P"]:
        if not self.training or not (dist.is_available() and dist.is_initialized()):
            return super().forward(input)
        x = input.float()
        rows = all_reduce(x.new_full((1,), x.shape[0]))
        mean = all_reduce(x.sum(0)) / rows
        centred = x - mean
        variance = all_reduce(centred.square().sum(0)) / rows
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * rows / (rows - 1).clamp(min=1), self.momentum)
        out = centred * (variance + self.eps).rsqrt() * self.weight + self.bias
        return out.to(input.dtype)
