"""A classifier that an evaluation saved, ready for clips of anyone's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.data.augment import CropConfig, central_view
from masksem_graph.data.clips import ClipSource
from masksem_graph.data.config import DataConfig
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.encoders import crop_of
from masksem_graph.models.io import load_encoder, load_head
from masksem_graph.run_folder import RunFolder
from masksem_graph.tasks.classify import Classify

PORTION = 64  # clips at once; changes speed and memory, not results


@dataclass(frozen=True)
class Classifier:
    """A trained encoder and head with what it takes to use them.

    Args:
        network: in eval mode.
        classes: names by label.
        data: the evaluation's own ``data`` as plain data: how it is used to seeing clips.
        crop: which part of a clip it is tested on.
    """

    network: Classify
    classes: tuple[str, ...]
    data: dict[str, Any]
    crop: CropConfig

    @torch.no_grad()
    def probabilities(self, store: Store, device: torch.device | str = "cpu") -> Float[Tensor, "clips classes"]:
        """Of each class for each clip of a store.

        Raises:
            InputError: the clips have other joints or coordinates than the encoder.
        """
        encoder = self.network.encoder
        _check_joints(store, encoder.topology.inputs, encoder.channels)
        data = self.data
        source = ClipSource(
            store,
            frames=encoder.frames,
            segment=encoder.segment,
            device=device,
            absent_frames=data.get("absent_frames", DataConfig.absent_frames),
            stream=data.get("stream", DataConfig.stream),
            topology=encoder.topology,
        )
        network = self.network.to(device).eval()
        scores = []
        for clips in torch.arange(len(store)).split(PORTION):
            view = central_view(clips, source.length[clips], self.crop)
            scores.append(network(source.load(source.plan(view))).softmax(1).cpu())
        return torch.cat(scores)


def load_classifier(folder: Path) -> Classifier:
    """What an evaluation that trains a head saved, or what was converted with its head.

    Raises:
        InputError: the folder holds no head, or a damaged one.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, expected an evaluation's")
    saved = load_head(folder)
    if saved is None:
        raise InputError(
            f"{folder}: expected the folder of an evaluation that trains a head (linear, finetune, ...), found no head.yaml"
        )
    network = Classify(encoder=load_encoder(folder), head=saved.head).eval()
    classes = saved.classes or tuple(f"class {i}" for i in range(saved.head.classes))
    data = RunFolder(folder).read_config().get("data") or {}
    if not isinstance(data, dict):
        raise InputError(f"{folder / 'config.yaml'}: data: expected a mapping, found {data!r}"[:300])
    return Classifier(network, classes, data, crop_of(folder))


def _check_joints(store: Store, joints: tuple[str, ...], channels: int) -> None:
    if not set(joints) <= set(store.topology.inputs):
        raise InputError(
            f"{store.topology.name}: the clips have its {len(store.topology)} joints; "
            f"expected the {len(joints)} joints that the classifier was trained on"
        )
    if (found := store.frames.shape[-1]) != channels:
        raise InputError(f"{store.path}: found {found} coordinates a joint, expected {channels}")
