"""Which body of a frame is which body of the frames before."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Float32
from scipy.optimize import linear_sum_assignment

from masksem_graph.data.missing import with_score
from masksem_graph.data.preparation import check_size
from masksem_graph.data.source import ENDLESS
from masksem_graph.errors import InputError, shown
from masksem_graph.topology import Topology

Key: TypeAlias = tuple[bool, str | int]
"""Whether the sender named the body, and the name."""

GONE, IMPOSSIBLE = 1e9, 1e12
"""Costs beyond any distance: of a body that the frame before did not have, and of one that is too far away."""


@dataclass(frozen=True)
class Person:
    """One body in one frame, as a tracker gives it.

    Args:
        joints: [V, 3] in the units of the run's clips, in an image [V, 2] or [V, 3] with scores; NaN where one is not seen.
        scores: how sure the tracker is of each joint, [V].
        id: who this is, where the tracker knows.
    """

    joints: npt.ArrayLike
    scores: npt.ArrayLike | None = None
    id: str | int | None = None


def seen_joints(person: Person, topology: Topology, *, units: str, min_score: float) -> Float32[np.ndarray, "V 3"]:
    """The joints of a person, of whom nothing is believed: NaN where one was not seen, or has ``min_score`` or less.

    Raises:
        InputError: another shape, infinity, or numbers too large for the units.
    """
    places, scores = _numbers("joints", person.joints), None if person.scores is None else _numbers("scores", person.scores)
    flat, shape = topology.dimensions == 2, places.shape
    wanted = [(len(topology.inputs), channels) for channels in ((3, 2) if flat else (3,))]
    if shape not in wanted:
        raise InputError(f"joints: expected {' or '.join(str(list(one)) for one in wanted)}, found {list(shape)}")
    if scores is not None and scores.shape != shape[:1]:
        raise InputError(f"scores: expected {shape[0]}, one a joint, found {list(scores.shape)}")
    if (largest := np.abs(places)[~np.isnan(places)].max(initial=0)) > ENDLESS:
        raise InputError(f"joints: found {largest:g}, expected finite numbers, or NaN where a joint is not seen")
    joints = places.astype(np.float32)
    if flat:
        known = joints[:, 2] if scores is None and shape[1] == 3 else scores
        joints = with_score(joints[None, :, :2], None if known is None else known[None].astype(np.float32))[0]
        scores = joints[:, 2]
    if scores is not None:
        joints[~(scores > min_score), : topology.dimensions] = np.nan
    check_size(np.nan_to_num(joints)[None], units)
    return joints


def _numbers(name: str, values: npt.ArrayLike) -> np.ndarray:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name}: expected an array of numbers: {' '.join(str(error).split())[:120]}") from None


class Tracks:
    """Names for bodies. The sender's stay; a body without one is the nearest known body, if that is within its own size."""

    def __init__(self) -> None:
        # When and where each body was seen last, in the order in which bodies appeared.
        self.known: dict[Key, tuple[float, Float32[np.ndarray, "V 3"]]] = {}
        self._fresh = count(1)

    def name(
        self, time: float, ids: Sequence[str | int | None], bodies: Sequence[Float32[np.ndarray, "V 3"]], dimensions: int
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
            apart = _distances(here[..., :dimensions], there[..., :dimensions])
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


def _distances(new: Float32[np.ndarray, "N V D"], old: Float32[np.ndarray, "K V D"]) -> Float[np.ndarray, "N K"]:
    """Mean distance of the joints that both have; infinite without such joints, or beyond the new body's size."""
    apart = np.linalg.norm(new[:, None] - old[None], axis=-1)
    both: Bool[np.ndarray, "N K V"] = np.isfinite(apart)
    mean = np.where(both, apart, 0).sum(-1) / np.maximum(both.sum(-1), 1)
    size = np.array([np.ptp(body[np.isfinite(body).all(-1)], axis=0).max() for body in new])
    return np.where(both.any(-1) & (mean <= size[:, None]), mean, np.inf)
