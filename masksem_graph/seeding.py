"""Random numbers that depend on what they are for, not on when, where or by which process they are drawn."""

from __future__ import annotations

import numpy as np
import torch


def keyed_generator(*key: int) -> torch.Generator:
    """A CPU generator for one purpose, say ``(seed, purpose, epoch, step)``.

    The same key gives the same numbers whatever was drawn before, which makes a resumed run equal to an uninterrupted one,
    and several processes equal to one.
    """
    state = np.random.SeedSequence(list(key)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
