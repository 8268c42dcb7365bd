"""The encoder that an evaluation asks for: of a run, of its configuration, or of a model alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.config import SCRATCH, EvaluateConfig
from masksem_graph.files import read_yaml
from masksem_graph.models.build import build_encoder
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import describe_encoder, load_encoder, new_encoder, topology_for
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
    if config.checkpoint == SCRATCH:
        assert config.model is not None
        torch.manual_seed(seed)
        topology = encoder_topology(config.model.topology, store.topology)
        return build_encoder(config.model, topology=topology, channels=channels).eval()
    described = describe_encoder(config.checkpoint)
    if described["channels"] != channels:
        raise InputError(
            f"{config.checkpoint}: the embedding of this encoder takes {described['channels']} coordinates a joint; "
            f"expected clips with as many, found {channels} in {store.path}"
        )
    topology = topology_for(config.checkpoint, store.topology)
    if not config.untrained:
        return load_encoder(config.checkpoint, topology=topology)
    torch.manual_seed(seed)
    return new_encoder(config.checkpoint, topology=topology).eval()


def describe_model(config: EvaluateConfig, plain: dict[str, Any]) -> dict[str, Any]:
    """The encoder's `ModelConfig` as plain data."""
    return plain["model"] if config.checkpoint == SCRATCH else describe_encoder(config.checkpoint)["model"]


def pretraining(checkpoint: str) -> dict[str, Any] | None:
    """The configuration that the run was pre-trained with; None where it does not say."""
    path = Path(checkpoint) / "config.yaml"
    return read_yaml(path) if path.is_file() else None


def pretrained_on(checkpoint: str) -> dict[str, Any] | None:
    """The data set and split that the run was pre-trained on; None where it does not say."""
    path = Path(checkpoint) / "data.yaml"
    return read_yaml(path) if path.is_file() else None
