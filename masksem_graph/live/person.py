"""One body of a frame, as a tracker gives it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float32

from masksem_graph.data.missing import with_score
from masksem_graph.data.preparation import check_size
from masksem_graph.data.source import ENDLESS
from masksem_graph.errors import InputError
from masksem_graph.topology import Topology


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
