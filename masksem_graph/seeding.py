"""Random numbers that depend on what they are for, not on when, where or by which process they are drawn."""

from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What a keyed generator is for, so that no two uses share numbers. A run depends on these values: never renumber them."""

    CLIP_ORDER = 1
    PRETRAIN_VIEW = 2
    PROBE_VIEW = 3
    PROBE_ORDER = 4
    PROBE_HEAD = 5
    LABELLED_SUBSET = 6
    FINETUNE_ORDER = 7
    FINETUNE_VIEW = 8
    FINETUNE_HEAD = 9
    FINETUNE_DROPOUT = 10
    DATA_SET = 11
    PICTURE_POINTS = 12
    PICTURE_MASKS = 13
    FLOORS = 14
    PRETRAIN_DROPOUT = 15


def keyed_generator(*key: int) -> torch.Generator:
    """A CPU generator for one purpose, say ``(seed, purpose, epoch, step)``; the same key always gives the same numbers."""
    state = np.random.SeedSequence(list(key)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
