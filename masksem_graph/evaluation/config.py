"""What an evaluation is told."""

from dataclasses import dataclass, field

from masksem_graph.data.config import DataConfig
from masksem_graph.data.transforms import SkeletonTransform
from masksem_graph.errors import InputError, require_range
from masksem_graph.models.build import ModelConfig
from masksem_graph.protocols.base import Protocol
from masksem_graph.protocols.labels import LabelsConfig
from masksem_graph.training.devices import DeviceConfig

SCRATCH = "none"  # the run of an encoder that was never pre-trained
RANDOM_SUBSETS = 5  # runs where the labelled clips are drawn at random, each with a subset of its own


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """An evaluation of a run.

    Args:
        run: the folder of the run to evaluate, or ``none`` for freshly drawn weights of ``model``.
        output: folder for results.json, figures/ and, where a head is trained, encoder and head; one in the run's by default.
        data: which clips; the run's own where not given.
        folds: ``all`` of the split's kind, such as fold1 to fold5, and their mean; or what their names begin with.
        protocol: how the encoder is evaluated.
        augment: transforms of the training clips; the run's own where not given.
        labels: which training clips have a label.
        device: where to compute.
        untrained: the run's encoder with freshly drawn weights instead.
        seed: of the first repetition.
        runs: how many repetitions, each with the next seed; by default 5 where only some clips have labels, else 1.
        floors: beside a linear probe or k-NN, also what the same clips give without pre-training.
        figures: draw a map of the test clips' features, where the encoder stays as it is.
        overwrite: replace results that are already there.
        model: the networks, where there is no run.
    """

    run: str
    output: str
    data: DataConfig
    protocol: Protocol
    folds: str | None = None
    augment: list[SkeletonTransform] = field(default_factory=list)
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    untrained: bool = False
    seed: int = 0
    runs: int | None = None
    floors: bool = True
    figures: bool = True
    overwrite: bool = False
    model: ModelConfig | None = None

    def __post_init__(self) -> None:
        if self.runs is not None:
            require_range("runs", self.runs, 1, 1000)
        require_range("seed", self.seed, 0, 2**62 - 1)
        if self.data.also:
            found = ", ".join(self.data.each)
            raise InputError(f"data.also: an evaluation is of one data set; expected none further, found {found}")
        if (self.run == SCRATCH) != (self.model is not None):
            raise InputError(f"model: expected with --run {SCRATCH}, and with no other")

    @property
    def scratch(self) -> bool:
        """Whether the encoder's weights are freshly drawn."""
        return self.untrained or self.run == SCRATCH

    @property
    def seeds(self) -> range:
        """Of each repetition."""
        runs = self.runs or (1 if self.labels.all else RANDOM_SUBSETS)
        return range(self.seed, self.seed + runs)
