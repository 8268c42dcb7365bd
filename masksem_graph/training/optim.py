"""Parameter groups and the learning-rate schedule."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from masksem_graph.encodings import AttentionBias, Encoding
from masksem_graph.training.config import TrainConfig


def undecayed(module: nn.Module, *, decay_encodings: bool) -> set[int]:
    """The ``id`` of every parameter that weight decay leaves alone.

    Vectors (biases, norms) never decay; positional encodings and tokens do where ``decay_encodings`` says so.
    """
    places: set[int] = set()
    for part in module.modules():
        if isinstance(part, Encoding | AttentionBias):
            places.update(id(p) for p in part.parameters())
        if isinstance(token := getattr(part, "mask_token", None), nn.Parameter):
            places.add(id(token))
    return {id(p) for p in module.parameters() if not (decay_encodings if id(p) in places else p.ndim > 1)}


def layer_groups(
    layers: Sequence[Sequence[nn.Parameter]], spared: set[int], *, weight_decay: float, layer_decay: float
) -> list[dict[str, Any]]:
    """Parameter groups whose learning rate falls with the distance to the last layer (BEiT, Bao et al., ICLR 2022).

    Args:
        layers: parameters by depth, first to last.
        spared: those without weight decay, see `undecayed`.
        weight_decay: of all others.
        layer_decay: factor from a layer to the one before it. A group's ``scale``, 1 in the last layer, is what the scheduled
            rate is to be multiplied by.
    """
    groups: list[dict[str, Any]] = []
    for depth, parameters in enumerate(layers):
        scale = layer_decay ** (len(layers) - 1 - depth)
        for decay, decays in ((weight_decay, True), (0.0, False)):
            chosen = [p for p in parameters if p.requires_grad and (id(p) not in spared) is decays]
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "scale": scale})
    return groups


def build_adamw(module: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """Fused AdamW over trainable parameters in two groups, with weight decay and without; see `undecayed`."""
    spared = undecayed(module, decay_encodings=config.decay_encodings)
    groups = layer_groups([list(module.parameters())], spared, weight_decay=config.weight_decay, layer_decay=1)
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)


def set_rate(optimiser: torch.optim.Optimizer, step: int, **schedule: Any) -> None:
    """Set the learning rate of a step, see `warmup_cosine`; a group's own is multiplied by its ``scale``."""
    rate = warmup_cosine(step, **schedule)
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("scale", 1)


def warmup_cosine(step: int, *, steps: int, warmup: int, peak: float, final: float) -> float:
    """Learning rate of a step: linear from 0 to ``peak`` over ``warmup`` steps, then a cosine down to ``final`` at the end."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(steps - warmup - 1, 1)
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
