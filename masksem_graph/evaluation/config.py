"""What an evaluation is told beside its protocol's own numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from masksem_graph.data.augment import AugmentConfig, CropConfig
from masksem_graph.data.config import DataConfig
from masksem_graph.errors import InputError
from masksem_graph.models.build import ModelConfig
from masksem_graph.protocols.labels import LabelsConfig
from masksem_graph.training.devices import DeviceConfig

SCRATCH = "none"
"""The checkpoint of an encoder that was never pre-trained."""


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """An evaluation of a run.

    Args:
        checkpoint: the run to evaluate, or ``none`` for freshly drawn weights of ``model``.
        output: folder for results.json, figures/ and, where a head is trained, encoder and head.
        data, crop, augment: which clips, how varied; the run's own where not given.
        labels: which training clips have a label.
        device: where to compute.
        untrained: the run's encoder with freshly drawn weights instead.
        seed: of the first run.
        runs: how many, each with the next seed; mean and deviation are reported.
        figures: draw a map of the test clips' features, where the encoder stays as it is.
        overwrite: replace results that are already there.
        model: the networks, where there is no checkpoint.
    """

    checkpoint: str
    output: str
    data: DataConfig
    crop: CropConfig = field(default_factory=CropConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    untrained: bool = False
    seed: int = 0
    runs: int = 1
    figures: bool = True
    overwrite: bool = False
    model: ModelConfig | None = None

    def __post_init__(self) -> None:
        if self.runs < 1:
            raise InputError(f"runs: expected at least 1, found {self.runs}")
        if self.seed < 0:
            raise InputError(f"seed: expected at least 0, found {self.seed}")
        if self.data.also:
            found = ", ".join(self.data.each)
            raise InputError(f"data.also: an evaluation is of one data set; expected none further, found {found}")
        if (self.checkpoint == SCRATCH) != (self.model is not None):
            raise InputError(f"model: expected with the checkpoint {SCRATCH!r}, and with no other")

    @property
    def scratch(self) -> bool:
        """Whether the encoder's weights are freshly drawn."""
        return self.untrained or self.checkpoint == SCRATCH
