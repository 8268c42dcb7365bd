"""Where a window differs from the average motion, at next to no cost: the features are those that it is classified by."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from masksem_graph.data.store import Store
from masksem_graph.data.views import central_view
from masksem_graph.evaluation.classifier import Classifier
from masksem_graph.operators import Adjacency
from masksem_graph.saliency import gradcam
from masksem_graph.topology import joint_columns


class Salient:
    """Grad-CAM of a run's classifier against the average clip of its training, smoothed over the skeleton as in the paper."""

    def __init__(self, classifier: Classifier, reference: Float[Tensor, "T J C"]) -> None:
        self.classifier = classifier
        with torch.no_grad():
            self.reference = classifier.network.encoder.features(reference[None])

    @classmethod
    def of(cls, classifier: object, folder: Path | None) -> tuple[Salient | None, str]:
        """For a classifier, with the average motion that its pre-training saved; or None, and why."""
        if not isinstance(classifier, Classifier) or folder is None:
            return None, "only the folder of an evaluation has saliency"
        encoder = classifier.network.encoder
        try:
            run = Path(json.loads((folder / "results.json").read_text(encoding="utf-8"))["checkpoint"])
            reference = load_file(run / "reference.safetensors")["reference"]
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            return None, "the run that was evaluated has no reference.safetensors; masksem runs have one"
        if reference.shape != (encoder.frames, len(encoder.topology.inputs), encoder.channels):
            return None, "the average motion of the run that was evaluated has another shape than its encoder's clips"
        return cls(classifier, reference), ""

    @torch.no_grad()
    def __call__(self, store: Store) -> tuple[Float32[np.ndarray, " classes"], Float32[np.ndarray, "bodies V"]]:
        """The probabilities of a store's one clip, and its saliency: of each joint the mean over time, the largest 1."""
        network, source = self.classifier.network, self.classifier.loader(store)
        plan = source.plan(central_view(torch.zeros(1, dtype=torch.int64), source.length, network.encoder.crop))
        batch = source.load(plan)
        features, absent = network.encoder(batch), network.encoder.absent_features(batch)
        scores = network.scored(features, absent, batch)
        eta = gradcam(features, self.reference, batch.sequence, 1, absent)
        nodes = Adjacency()(eta.view(len(eta), batch.segments, -1), batch).mean(1)
        shares = np.zeros((int(source.clip_offset[-1]), len(store.topology.inputs)), np.float32)
        columns = joint_columns(batch.topology, store.topology)
        chosen = [columns[batch.topology.inputs.index(joint)] for joint in batch.topology.joints]
        shares[plan.slot.numpy()[:, None], chosen] = (nodes / nodes.max().clamp(min=1e-30)).numpy()
        return scores.softmax(1)[0].numpy(), shares
