"""The encoder that an evaluation asks for: of a run, of its configuration, or of a model alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.config import SCRATCH, EvaluateConfig
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import EncoderDescription, create_encoder, load_encoder, new_encoder
from masksem_graph.plain_yaml import read_plain
from masksem_graph.run_folder import RunFolder
from masksem_graph.topology import encoder_topology


def make_encoder(config: EvaluateConfig, plain: dict[str, Any], store: Store, seed: int) -> SkeletonEncoder:
    """The encoder, in eval mode on the CPU.

    Args:
        config: names the run or the model.
        plain: the same as plain data.
        store: the clips it is to encode.
        seed: of freshly drawn weights.

    Raises:
        InputError: a part of the run's encoder cannot be used on these clips; the line names it.
    """
    if config.run == SCRATCH:
        assert config.model is not None
        torch.manual_seed(seed)
        topology = encoder_topology(config.model.topology, store.topology)
        described = EncoderDescription(
            model=plain["model"],
            topologies=[topology.to_dict()],
            channels=store.frames.shape[-1],
            input_spec=config.data.input_spec(store),
            recorded=[store.topology.to_dict()],
        )
        return create_encoder(described).eval()
    if config.untrained:
        torch.manual_seed(seed)
    encoder = new_encoder(config.run).eval() if config.untrained else load_encoder(config.run)
    if config.data.origin is None and store.origin != encoder.input_spec.origin:
        raise InputError(
            f"data.origin: {store.path} was prepared with {store.origin}, the encoder's own clips with "
            f"{encoder.input_spec.origin}; expected the same, or --data.origin {store.origin} to say that it is meant"
        )
    # What the configuration says of the clips is what this encoder sees from now on.
    encoder.input_spec = config.data.input_spec(store)
    return encoder


def pretraining(run: str) -> dict[str, Any] | None:
    """The configuration that the run was pre-trained with; None where it does not say."""
    return RunFolder(run).read_config() or None


def pretrained_on(run: str) -> dict[str, Any] | None:
    """The data set and split that the run was pre-trained on; None where it does not say."""
    path = Path(run) / "data.yaml"
    return read_plain(path) if path.is_file() else None
