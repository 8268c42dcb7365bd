"""A classifier that an evaluation saved, ready for clips of anyone's."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.store import Store
from masksem_graph.data.views import central_view
from masksem_graph.errors import InputError
from masksem_graph.evaluation.prepared import Prepared, prepared_as
from masksem_graph.exporting.classifier import OnnxClassifier, load_onnx
from masksem_graph.models.encode import loader_for
from masksem_graph.models.io import load_encoder, load_head
from masksem_graph.tasks.classify import Classify

PORTION = 64  # clips at once; changes speed and memory, not results


@dataclass(frozen=True)
class Classifier:
    """A trained encoder and head, in eval mode, with the classes by label and how the evaluation's own clips were prepared."""

    network: Classify
    classes: tuple[str, ...]
    prepared: Prepared

    @torch.no_grad()
    def probabilities(self, store: Store, device: torch.device | str = "cpu") -> Float[Tensor, "clips classes"]:
        """Of each class for each clip of a store; `loader` says which clips are refused."""
        source, network = self.loader(store, device), self.network
        if network.encoder.embedding.weight.device != torch.device(device):  # to walk over all modules takes a millisecond
            network.to(device)
        scores = []
        for clips in torch.arange(len(store)).split(PORTION):
            view = central_view(clips, source.length[clips], network.encoder.crop)
            scores.append(network(source.load(source.plan(view))).softmax(1).cpu())
        return torch.cat(scores)

    def loader(self, store: Store, device: torch.device | str = "cpu") -> SkeletonLoader:
        """Reads clips as the network was trained to see them; those with other joints or coordinates are refused."""
        encoder = self.network.encoder
        trained = encoder.topology_for(self.prepared.topology)
        found = encoder.topology_for(store.topology)  # the encoder may go on, what its head saw may not
        if found.joints != trained.joints:
            raise InputError(
                f"{store.topology.name}: the clips have its {len(store.topology.inputs)} joints, expected the "
                f"{len(trained)} joints of {trained.name}, which the classifier was trained on"
            )
        return loader_for(encoder, store, topology=trained, device=device)


def load_classifier(path: Path) -> Classifier | OnnxClassifier:
    """The classifier of a folder, see `read_classifier`, or what was exported from one as ``.onnx``."""
    return load_onnx(path) if path.suffix == ".onnx" and path.is_file() else read_classifier(path)


def read_classifier(folder: Path) -> Classifier:
    """What an evaluation that trains a head saved, or what was converted with its head; `InputError` without a head."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, expected an evaluation's")
    if (saved := load_head(folder)) is None:
        expected = "the folder of an evaluation that trains a head (linear, finetune, ...)"
        raise InputError(f"{folder}: expected {expected}, found no head.yaml")
    network = Classify(encoder=load_encoder(folder), head=saved.head).eval()
    classes = saved.classes or tuple(f"class {i}" for i in range(saved.head.classes))
    return Classifier(network, classes, prepared_as(folder, network.encoder))
