"""An exported classifier in the place of a run's."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.data.clip import Clip
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.prepared import Prepared
from masksem_graph.exporting.runtime import PORTION, ClipModel, OnnxModel
from masksem_graph.topology import joint_columns, parse_topology


class OnnxClassifier:
    """What `masksem_graph.evaluation.classifier.Classifier` is, exported; of an encoder alone "probabilities" are features."""

    def __init__(self, model: ClipModel, path: Path) -> None:
        about = model.about
        topology = parse_topology(about["topology"], source_file=path)
        self.model, self.classes = model, tuple(about["classes"])
        self.prepared = Prepared(topology, about["origin"], about["read_as"] or None, about["options"], about["units"])

    def probabilities(self, store: Store, device: torch.device | str = "cpu") -> Float[Tensor, "clips classes"]:
        """Of each class for each clip of a store, always on the CPU.

        Raises:
            InputError: the clips have other joints, coordinates, units or another origin than those of the model.
        """
        wanted, found = self.prepared.topology, store.topology
        columns = joint_columns(wanted, found)
        for name, expected, there in (
            ("coordinates a joint", self.model.about["channels"], store.frames.shape[-1]),
            ("units", wanted.units, found.units),
            ("origin", self.prepared.origin, store.origin),
        ):
            if expected != there:
                raise InputError(f"{store.path}: {name}: found {there}, expected {expected}, as the model's own clips")
        parts = torch.arange(len(store)).split(PORTION)
        try:
            return torch.cat(
                [torch.from_numpy(self.model([as_array(store[int(i)])[:, :, columns] for i in part])) for part in parts]
            )
        except ValueError as error:
            raise InputError(f"{store.path}: {error}") from None


def as_array(clip: Clip) -> Float[np.ndarray, "M F V C"]:
    """The bodies of a clip over all of its frames, zero where they are absent."""
    joints = clip.bodies[0].frames.shape[1:]
    frames = np.zeros((len(clip.bodies), clip.length, *joints), np.float32)
    for row, body in zip(frames, clip.bodies, strict=True):
        row[body.start : body.end] = body.frames
    return frames


def open_onnx(path: Path) -> OnnxModel:
    """An exported model; `InputError` if it is none, or onnxruntime is not installed."""
    try:
        return OnnxModel(path)
    except ImportError:
        raise InputError(
            f"{path}: needs onnxruntime, not installed here; expected pip install 'masksem-graph[export]'"
        ) from None
    except ValueError as error:
        raise InputError(str(error)) from None


def load_onnx(path: Path) -> OnnxClassifier:
    """An exported classifier; `InputError` as `open_onnx`, or if it is an encoder alone."""
    model = open_onnx(path)
    if model.about["task"] != "classify":
        raise InputError(f"{path}: holds an encoder alone, expected one exported from an evaluation that trains a head")
    return OnnxClassifier(model, path)
