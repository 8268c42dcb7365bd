"""Classification: an encoder with a head on it, in memory and on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from masksem_graph.config import parse_mapping
from masksem_graph.data.clips import AbsentFrames, ClipBatch, Stream
from masksem_graph.errors import InputError
from masksem_graph.files import read_yaml, write_beside
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.heads import Head, HeadFactory
from masksem_graph.models.io import load_encoder, save_encoder

FORMAT = 1


class Classify(nn.Module):
    """Class scores of clips.

    Args:
        encoder: gives the nodes' features.
        head: pools them and scores the classes.
    """

    def __init__(self, *, encoder: SkeletonEncoder, head: Head) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, clips: ClipBatch) -> Float[Tensor, "S classes"]:
        features, absent = self.encoder.features(clips.coordinates), self.encoder.absent_features()
        return self.head.classify(features, clips.sequence, clips.label.shape[0], absent)

    def layers(self) -> list[list[nn.Parameter]]:
        """Parameters by depth; what follows the encoder's last layer belongs with the head, at the full learning rate."""
        *inner, last = self.encoder.layers()
        return [*inner, [*last, *self.head.parameters()]]


@dataclass(frozen=True)
class ClipInput:
    """How a classifier wants to be shown clips: as in its evaluation.

    Args:
        stream, absent_frames, origin: as in `masksem_graph.data.config.DataConfig`.
        test_share: the central share of a clip that is looked at.
    """

    stream: Stream = "joint"
    absent_frames: AbsentFrames = "hold"
    origin: Literal["centre", "none"] = "centre"
    test_share: float = 0.95


@dataclass(frozen=True)
class Classifier:
    """A trained encoder and head with what it takes to use them.

    Args:
        network: in eval mode.
        classes: names by label.
        input: how it wants to be shown clips.
    """

    network: Classify
    classes: tuple[str, ...]
    input: ClipInput


@dataclass(frozen=True)
class _HeadFile:
    head: HeadFactory
    classes: list[str]
    input: ClipInput


def save_classifier(folder: str | os.PathLike[str], classifier: Classifier, model: Mapping[str, Any]) -> None:
    """Write an encoder and a head into a folder, which then is a run to `load_encoder` too.

    Args:
        folder: ``encoder.*`` and ``head.*`` are written there.
        classifier: what to save.
        model: the encoder's `ModelConfig` as plain data.
    """
    folder, head = Path(folder), classifier.network.head
    described = {
        "format": FORMAT,
        "head": {"class_path": f"{type(head).__module__}.{type(head).__qualname__}", "init_args": head.options()},
        "classes": list(classifier.classes),
        "input": asdict(classifier.input),
    }
    save_encoder(folder, classifier.network.encoder, model)
    with write_beside(folder / "head.safetensors") as partial:
        save_file({name: value.detach().contiguous().cpu() for name, value in head.state_dict().items()}, partial)
    with write_beside(folder / "head.yaml") as partial:
        partial.write_text(yaml.safe_dump(described, sort_keys=False))


def load_classifier(folder: str | os.PathLike[str]) -> Classifier:
    """The encoder and head that an evaluation saved, in eval mode on the CPU.

    Raises:
        InputError: the folder holds none, or a damaged one.
    """
    path = Path(folder) / "head.yaml"
    if not path.is_file():
        raise InputError(
            f"{folder}: expected the folder of an evaluation that trains a head (linear, finetune, ...), found no {path.name}"
        )
    fields = read_yaml(path)
    if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT:
        raise InputError(f"{path}: format: expected {FORMAT}")
    described = parse_mapping(_HeadFile, fields, source=path)
    encoder = load_encoder(folder)
    head = described.head(width=encoder.width, joints=encoder.grid[1], classes=len(described.classes))
    weights = path.with_suffix(".safetensors")
    try:
        head.load_state_dict(load_file(weights))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(f"{weights}: not the weights of {path.name}: {' '.join(str(error).split())}") from None
    return Classifier(Classify(encoder=encoder, head=head).eval(), tuple(described.classes), described.input)
