"""Runs a model that ``masksem-graph export`` wrote. It needs numpy and onnxruntime alone: copy this file to the robot."""

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

FORMAT = 1
FIELDS: dict[str, type | tuple[type, ...]] = {
    "task": str,
    "classes": list,
    "joints": list,
    "channels": int,
    "outputs": int,
    "units": str,
    "farthest": (int, float),
    "topology": dict,
    "origin": str,
    "read_as": str,
    "options": dict,
}
"""What the file has to say of itself, beside what is there for the reader alone."""
PORTION = 64  # clips at once; changes speed and memory, not results


class ClipModel:
    """From raw clips to numbers, given what computes [clips, outputs] of ``frames`` [clips, bodies, frames, joints, channels].

    ``about`` is what the model says of itself, see `FIELDS`.
    """

    def __init__(self, run: Callable[[np.ndarray], np.ndarray], about: dict[str, Any]) -> None:
        self.run, self.about = run, about

    def __call__(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities of the classes for each clip, [clips, classes]; of an encoder alone the features, [clips, D].

        Args:
            clips: frames as recorded, [F, V, C] of one body or [M, F, V, C] of several, actor 1 first. Joints are in
                the order of ``about["joints"]``. Clips may differ in F. Where a body is absent all is zero.

        Raises:
            ValueError: a clip has another shape, a value that is no number or too large for the units, or nobody in it.
        """
        ready = [self._checked(np.asarray(clip), f"clip {i}") for i, clip in enumerate(clips)]
        found: dict[int, np.ndarray] = {}
        for bodies in {len(clip) for clip in ready}:  # an empty slot would cost as much as a body
            alike = [i for i, clip in enumerate(ready) if len(clip) == bodies]
            for some in (alike[first : first + PORTION] for first in range(0, len(alike), PORTION)):
                longest, rest = max(ready[i].shape[1] for i in some), ready[some[0]].shape[2:]
                frames = np.zeros((len(some), bodies, longest, *rest), np.float32)
                for row, i in zip(frames, some, strict=True):
                    row[:, : ready[i].shape[1]] = ready[i]
                found.update(zip(some, self.run(frames), strict=True))
        return np.stack([found[i] for i in range(len(ready))]) if ready else np.zeros((0, self.about["outputs"]), np.float32)

    def _checked(self, clip: np.ndarray, name: str) -> np.ndarray:
        """The bodies that are there."""
        joints, channels = len(self.about["joints"]), self.about["channels"]
        clip = clip[None] if clip.ndim == 3 else clip
        if clip.ndim != 4 or clip.shape[2:] != (joints, channels):
            found = list(clip.shape)
            raise ValueError(f"{name}: expected [F, {joints}, {channels}] or [bodies, F, {joints}, {channels}], found {found}")
        if not np.isfinite(clip).all():
            raise ValueError(f"{name}: expected finite numbers, found NaN or infinity")
        if (largest := np.abs(clip).max(initial=0)) > self.about["farthest"]:
            raise ValueError(f"{name}: found {largest:g}, expected at most {self.about['farthest']:g} {self.about['units']}")
        clip = clip[clip.any((1, 2, 3))]
        if not len(clip):
            raise ValueError(f"{name}: no frame with a body, expected at least one")
        return clip


class OnnxModel(ClipModel):
    """An exported encoder, with its head or alone. It prepares clips as those that it was trained on were.

    Args:
        path: the ``.onnx`` file.
        threads: how many to compute on; 0 leaves it to onnxruntime.

    Raises:
        ValueError: the file is not such a model.
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
            about = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
        except Exception as error:  # onnxruntime has a dozen of its own, which share no base class
            raise ValueError(f"{path}: not a model of masksem-graph export: {' '.join(str(error).split())}") from None
        if (form := about.get("format")) != FORMAT:
            raise ValueError(f"{path}: not a model of masksem-graph export: format: found {form}, expected {FORMAT}")
        if odd := [name for name, kind in FIELDS.items() if not isinstance(about.get(name), kind)]:
            raise ValueError(f"{path}: not a model of masksem-graph export: {odd[0]}: found {about.get(odd[0])!r}")
        super().__init__(lambda frames: session.run(None, {"frames": frames})[0], about)
