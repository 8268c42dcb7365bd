"""The encoder that an evaluation asks for: of a run, of its configuration, or of a model alone."""

from __future__ import annotations

from typing import Any

import torch

from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.config import SCRATCH, EvaluateConfig
from masksem_graph.evaluation.prepared import check_options
from masksem_graph.models.encode import check_units
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import create_encoder, load_encoder, new_encoder
from masksem_graph.training.run import describe_new


def make_encoder(config: EvaluateConfig, plain: dict[str, Any], store: Store, seed: int) -> SkeletonEncoder:
    """The encoder, in eval mode on the CPU.

    Args:
        config, plain: name the run or the model; the second as plain data.
        store: the clips it is to encode.
        seed: of freshly drawn weights.

    Raises:
        InputError: a part of the run's encoder cannot be used on these clips; the line names it.
    """
    if config.scratch:
        torch.manual_seed(seed)
    if config.run == SCRATCH:
        assert config.model is not None
        return create_encoder(describe_new(config.model, plain["model"], config.data, [store])).eval()
    encoder = new_encoder(config.run).eval() if config.untrained else load_encoder(config.run)
    seen = encoder.input_spec
    if config.data.origin is None and store.origin != seen.origin:
        raise InputError(
            f"data.origin: {store.path} was prepared with {store.origin}, the encoder's own clips with {seen.origin}; "
            f"expected the same, or --data.origin {store.origin} to say that it is meant"
        )
    check_units(encoder, store)
    check_options(config.run, store, config.data.options)
    # What the configuration says of the clips is what this encoder sees from now on.
    encoder.input_spec = config.data.input_spec(store)
    return encoder
