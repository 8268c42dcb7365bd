"""What stands on the encoder when it is evaluated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, runtime_checkable

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from masksem_graph.models.pool import body_mean


class Head(nn.Module, ABC):
    """Scores classes from node features: a summary of each body, its mean over the bodies, then layers on that.

    A new one is one class, named by its ``class_path``. Args of every constructor, given by the builder: ``width`` (D),
    ``joints`` (V), ``classes``. Options follow them.
    """

    def options(self) -> dict[str, Any]:
        """The constructor's arguments beside those that the builder gives: what a saved head is built from again."""
        return {}

    @abstractmethod
    def summary(self, features: Float[Tensor, "B N D"]) -> Float[Tensor, "B K"]:
        """What is kept of each body."""

    @abstractmethod
    def forward(self, features: Float[Tensor, "S K"]) -> Float[Tensor, "S classes"]:
        """Scores from a sequence's mean summary."""

    def classify(
        self,
        features: Float[Tensor, "B N D"],
        sequence: Int64[Tensor, " B"],
        sequences: int,
        absent: Float[Tensor, "1 N D"] | None = None,
    ) -> Float[Tensor, "S classes"]:
        """Scores of sequences from the node features of their bodies.

        Args:
            features: of each body.
            sequence: the sequence of each body.
            sequences: S.
            absent: `SkeletonEncoder.absent_features`.
        """
        fill = None if absent is None else self.summary(absent)
        return self(body_mean(self.summary(features), sequence, sequences, fill)[0])


@runtime_checkable
class HeadFactory(Protocol):
    """A head class with its options set; the builder gives the rest."""

    def __call__(self, *, width: int, joints: int, classes: int) -> Head: ...


class LinearHead(Head):
    """BatchNorm without affine, then a linear layer on the mean over nodes: the linear probe of MAE and MAMP.

    Args:
        width: D.
        joints: not used.
        classes: how many.
        norm: False leaves the BatchNorm out.
    """

    def __init__(self, *, width: int, joints: int = 0, classes: int, norm: bool = True) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False, eps=1e-6) if norm else nn.Identity()
        self.linear = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def options(self) -> dict[str, Any]:
        return {"norm": not isinstance(self.norm, nn.Identity)}

    def summary(self, features: Float[Tensor, "B N D"]) -> Float[Tensor, "B K"]:
        return features.mean(1)

    def forward(self, features: Float[Tensor, "S D"]) -> Float[Tensor, "S classes"]:
        return self.linear(self.norm(features))


class JointHead(Head):
    """Mean over time, joints kept apart, and an MLP on them: the head that MAMP fine-tunes with.

    Args:
        width: D.
        joints: V.
        classes: how many.
        hidden: width of the MLP.
        dropout: of node features.
    """

    def __init__(self, *, width: int, joints: int, classes: int, hidden: int = 2048, dropout: float = 0.3) -> None:
        super().__init__()
        self.joints = joints
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(joints * width, hidden)
        self.norm = GlobalBatchNorm(hidden)
        self.linear = nn.Linear(hidden, classes)
        for layer in (self.hidden, self.linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def options(self) -> dict[str, Any]:
        return {"hidden": self.hidden.out_features, "dropout": self.dropout.p}

    def summary(self, features: Float[Tensor, "B N D"]) -> Float[Tensor, "B K"]:
        return self.dropout(features).unflatten(1, (-1, self.joints)).mean(1).flatten(1)

    def forward(self, features: Float[Tensor, "S K"]) -> Float[Tensor, "S classes"]:
        # BatchNorm takes the bias out again: its gradient is rounding noise, which Adam would blow up to full steps.
        hidden = F.linear(features, self.hidden.weight, self.hidden.bias.detach())
        return self.linear(self.norm(hidden).relu())


class GlobalBatchNorm(nn.BatchNorm1d):
    """BatchNorm over the batch of all processes, which may hold different numbers of rows; with one process plain BatchNorm.

    Torch's own SyncBatchNorm knows no CPU.
    """

    def forward(self, input: Float[Tensor, "S K"]) -> Float[Tensor, "S K"]:
        if not self.training or not (dist.is_available() and dist.is_initialized()):
            return super().forward(input)
        x = input.float()
        rows = all_reduce(x.new_full((1,), x.shape[0]))
        mean = all_reduce(x.sum(0)) / rows
        centred = x - mean
        variance = all_reduce(centred.square().sum(0)) / rows
        self._remember(mean.detach(), variance.detach() * rows / (rows - 1).clamp(min=1))
        out = centred * (variance + self.eps).rsqrt() * self.weight + self.bias
        return out.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Float[Tensor, " K"], variance: Float[Tensor, " K"]) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
