"""One set of weights in several networks."""

from __future__ import annotations

from torch import nn

from masksem_graph.errors import InputError


def share_weights(network: nn.Module, of: nn.Module) -> None:
    """Put another network's parameters and saved buffers in the place of a network's own: one learns what the other learns.

    What a network computes from its topology is in buffers that are not saved, and stays its own.

    Args:
        network: gives up its weights.
        of: the same network, say on another topology; it keeps its own.

    Raises:
        InputError: they have different weights.
    """
    theirs = dict(of.named_modules())
    mine = {name: tuple(value.shape) for name, value in network.state_dict(keep_vars=True).items()}
    shapes = {name: tuple(value.shape) for name, value in of.state_dict(keep_vars=True).items()}
    if differing := sorted(name for name in mine.keys() | shapes.keys() if mine.get(name) != shapes.get(name)):
        name = differing[0]
        sizes = f"{shapes.get(name)} on one skeleton, {mine.get(name)} on another"
        raise InputError(f"{name} of {type(of).__name__} has size {sizes}")
    for name, module in network.named_modules():
        saved = module.state_dict(keep_vars=True).keys()
        for own in (*module._parameters, *module._buffers):
            if own in saved:
                setattr(module, own, getattr(theirs[name], own))
