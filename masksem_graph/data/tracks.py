"""Which body of a frame is which body of the frames before."""

from collections.abc import Sequence
from itertools import count
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

from masksem_graph.errors import InputError, shown

Key: TypeAlias = tuple[bool, str | int]
"""Whether the sender named the body, and the name."""

GONE, IMPOSSIBLE = 1e9, 1e12
"""Costs beyond any distance: of a body that the frame before did not have, and of one that is too far away."""


class Tracks:
    """Names for bodies. The sender's stay; a body without one is the nearest known body, if that is near enough.

    Args:
        reach: how far a body's joints may have moved, on average, as a share of its size.
    """

    def __init__(self, reach: float = 1.0) -> None:
        self.reach = reach
        # When and where each body was seen last, in the order in which bodies appeared.
        self.known: dict[Key, tuple[float, Float[np.ndarray, "V C"]]] = {}
        self._fresh = count(1)

    def name(
        self, time: float, ids: Sequence[str | int | None], bodies: Sequence[Float[np.ndarray, "V C"]], dimensions: int
    ) -> list[Key]:
        """The name of each body of a frame; ``ids`` are the sender's, and the first ``dimensions`` channels coordinates.

        Raises:
            InputError: an id stands twice.
        """
        named = [one for one in ids if one is not None]
        if twice := [one for one in named if named.count(one) > 1]:
            raise InputError(f"id: found {shown(twice[0])} twice in a frame, expected each body once")
        keys: list[Key | None] = [None if one is None else (True, one) for one in ids]
        new = [i for i, key in enumerate(keys) if key is None]
        old = [key for key in self.known if not key[0]]
        if new and old:
            here, there = np.stack([bodies[i] for i in new]), np.stack([self.known[key][1] for key in old])
            apart = _distances(here[..., :dimensions], there[..., :dimensions], self.reach)
            # Who walks past where somebody left is not that person: bodies of the frame before are matched first.
            latest = max(seen for seen, _ in self.known.values())
            left = np.array([self.known[key][0] < latest for key in old])
            cost = np.where(np.isfinite(apart), apart + GONE * left, IMPOSSIBLE)
            for row, column in zip(*linear_sum_assignment(cost), strict=True):
                if cost[row, column] < IMPOSSIBLE:
                    keys[new[row]] = old[column]
        found = [key or (False, next(self._fresh)) for key in keys]
        self.known.update({key: (time, body) for key, body in zip(found, bodies, strict=True)})
        return found

    def forget(self, before: float) -> None:
        """Forget bodies that were not seen since."""
        self.known = {key: seen for key, seen in self.known.items() if seen[0] >= before}


def _distances(new: Float[np.ndarray, "N V D"], old: Float[np.ndarray, "K V D"], reach: float) -> Float[np.ndarray, "N K"]:
    """Mean distance of the joints that both have; infinite without such joints, or beyond the reach of the larger body."""
    apart = np.linalg.norm(new[:, None] - old[None], axis=-1)
    both: Bool[np.ndarray, "N K V"] = np.isfinite(apart)
    mean = np.where(both, apart, 0).sum(-1) / np.maximum(both.sum(-1), 1)
    size = np.fmax(_size(new)[:, None], _size(old))
    return np.where(both.any(-1) & (mean <= reach * size), mean, np.inf)


def _size(bodies: Float[np.ndarray, "N V D"]) -> Float[np.ndarray, " N"]:
    """How far the joints of each body lie apart; NaN where none was found."""
    whole = np.where(np.isfinite(bodies).all(-1, keepdims=True), bodies, np.nan)
    return (np.fmax.reduce(whole, axis=1) - np.fmin.reduce(whole, axis=1)).max(-1)
