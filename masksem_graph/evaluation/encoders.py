"""The encoder that an evaluation asks for: of a run, of its configuration, or of a model alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from masksem_graph.config import parse_mapping
from masksem_graph.data.augment import CropConfig
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.config import SCRATCH, EvaluateConfig
from masksem_graph.models.build import ModelConfig, build_encoder
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import describe_encoder, load_encoder, new_encoder, topology_for
from masksem_graph.plain_yaml import read_plain
from masksem_graph.run_folder import RunFolder
from masksem_graph.topology import encoder_topology


def make_encoder(config: EvaluateConfig, store: Store, seed: int) -> SkeletonEncoder:
    """The encoder on the store's topology, in eval mode on the CPU.

    Args:
        config: names the run or the model.
        store: the clips it is to encode.
        seed: of freshly drawn weights.

    Raises:
        InputError: a part of the run's encoder cannot be used on these clips; the line names it.
    """
    channels = store.frames.shape[-1]
    if config.run == SCRATCH:
        assert config.model is not None
        torch.manual_seed(seed)
        topology = encoder_topology(config.model.topology, store.topology)
        return build_encoder(config.model, topology=topology, channels=channels).eval()
    described = describe_encoder(config.run)
    if described["channels"] != channels:
        raise InputError(
            f"{config.run}: the embedding of this encoder takes {described['channels']} coordinates a joint; "
            f"expected clips with as many, found {channels} in {store.path}"
        )
    topology = topology_for(config.run, store.topology)
    if not config.untrained:
        return load_encoder(config.run, topology=topology)
    torch.manual_seed(seed)
    return new_encoder(config.run, topology=topology).eval()


def describe_model(config: EvaluateConfig, plain: dict[str, Any]) -> dict[str, Any]:
    """The encoder's `ModelConfig` as plain data."""
    return plain["model"] if config.run == SCRATCH else describe_encoder(config.run)["model"]


def crop_of(run: str | Path) -> CropConfig:
    """How an encoder is used to a clip becoming its T frames."""
    return parse_mapping(ModelConfig, describe_encoder(run)["model"], source=Path(run) / "encoder.yaml").crop


def pretraining(run: str) -> dict[str, Any] | None:
    """The configuration that the run was pre-trained with; None where it does not say."""
    return RunFolder(run).read_config() or None


def pretrained_on(run: str) -> dict[str, Any] | None:
    """The data set and split that the run was pre-trained on; None where it does not say."""
    path = Path(run) / "data.yaml"
    return read_plain(path) if path.is_file() else None
