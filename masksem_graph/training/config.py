"""What a pre-training run is told."""

from dataclasses import dataclass, field

from masksem_graph.data.config import DataConfig
from masksem_graph.data.transforms import SkeletonTransform
from masksem_graph.errors import InputError, require_range
from masksem_graph.models.build import ModelConfig
from masksem_graph.tasks.pretrain import MethodConfig
from masksem_graph.training.devices import DeviceConfig


@dataclass(frozen=True)
class TrainConfig:
    """How long, in which portions and with which optimiser to train: AdamW with linear warm-up and cosine decay.

    Args:
        epochs: passes over the training clips.
        batch_size: sequences in a step, over all processes.
        accumulate: parts that a process's share of a batch is handled in; fewer sequences in memory, the same step.
        warmup: share of the steps in which the learning rate rises.
        seed: of everything random.
        checkpoint_minutes: a checkpoint is also written within an epoch when the last one is this old.
        evaluate_every: epochs between k-NN checks; 0 for none.
        lr: learning rate after warm-up.
        final_lr: learning rate of the last step.
        betas: AdamW's decay rates of the moments.
        weight_decay: on matrices; never on biases and norms.
        decay_encodings: weight decay on positional encodings and mask tokens too, as in the authors' code.
        init_from: a run whose student, decoder and teacher to start from.
        figures: draw a test clip when training is over: saliency, smoothing, masks, reconstruction.
    """

    epochs: int = 100
    batch_size: int = 32
    accumulate: int = 1
    warmup: float = 0.05
    seed: int = 0
    checkpoint_minutes: float = 10.0
    evaluate_every: int = 10
    lr: float = 1e-3
    final_lr: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05
    decay_encodings: bool = False
    init_from: str | None = None
    figures: bool = True

    def __post_init__(self) -> None:
        whole = {"epochs": 10**6, "batch_size": 10**6, "accumulate": 10**4}
        rates = {"checkpoint_minutes": 1e6, "final_lr": 1e3, "weight_decay": 1e3}
        from_zero = {"evaluate_every": 10**6, "seed": 2**63 - 1, "warmup": 1, **rates}
        for least, limits in ((1, whole), (0, from_zero), (1e-12, {"lr": 1e3})):
            for name, most in limits.items():
                require_range(f"train.{name}", getattr(self, name), least, most)
        if (found := self.accumulate) > self.batch_size:
            raise InputError(f"train.accumulate: expected at most train.batch_size = {self.batch_size}, found {found}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(f"train.betas: expected two numbers in [0, 1), found {list(self.betas)}")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A pre-training run.

    Args:
        data: which clips, of one data set or of several.
        model: the networks, and how a clip becomes what they see.
        method: what is masked and predicted.
        augment: transforms of the training clips, applied in this order.
        train: how long, and with which optimiser.
        device: where to compute.
        output: the run's folder.
        overwrite: start afresh where ``output`` already holds a run.
    """

    data: DataConfig
    model: ModelConfig
    method: MethodConfig
    augment: list[SkeletonTransform] = field(default_factory=list)
    train: TrainConfig = field(default_factory=TrainConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    output: str
    overwrite: bool = False
