"""A map of the features that an encoder gives to the clips of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from masksem_graph.errors import InputError
from masksem_graph.pictures.picture import Picture
from masksem_graph.protocols import Evaluation, knn_scores
from masksem_graph.report.names import drawn
from masksem_graph.report.skeleton import COLOURS
from masksem_graph.seeding import Purpose, keyed_generator

Method = Literal["tsne", "pca"]
MOST_POINTS = 2000
ALIKE = 1e-6
"""Features of unit length that differ by less in every dimension are the same but for rounding."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*", "h", "d", "8", "H")
"""As many as have no common factor with the number of colours: 120 classes look different."""


@dataclass(frozen=True)
class Embedding:
    """Features on a plane.

    Args:
        places: of the clips.
        label: their classes.
        accuracy: of the nearest neighbour, in per cent: test clips among the training clips, in the space of all features.
        method: what laid them out.
        axes: what the two axes are called.
    """

    places: Float[np.ndarray, "S 2"]
    label: Int64[np.ndarray, " S"]
    accuracy: float
    method: Method
    axes: tuple[str, str]


def embed(
    evaluation: Evaluation,
    *,
    method: Method = "tsne",
    seed: int = 0,
    most: int = MOST_POINTS,
    accuracy: float | None = None,
) -> Embedding:
    """Encode a split, and lay its test clips out on a plane.

    Args:
        evaluation: the encoder and the split.
        method: t-SNE (van der Maaten and Hinton, JMLR 2008), started from the principal components, or these alone.
        seed: of t-SNE, and of the choice where there are more than ``most``.
        most: clips on the map.
        accuracy: of the nearest neighbour, where it is known already: the training clips are then not encoded.

    Raises:
        InputError: the features are not finite, or all alike.
    """
    test, truth = evaluation.encode_test(evaluation.test), evaluation.labels(evaluation.test)
    chosen = torch.randperm(len(test), generator=keyed_generator(seed, Purpose.PICTURE_POINTS))[:most].sort().values
    # As for k-NN, directions matter and lengths do not.
    features = torch.nn.functional.normalize(test, dim=1).cpu().double().numpy()[chosen]
    places, axes = _lay_out(features, method, seed)
    return Embedding(
        places=places,
        label=truth.cpu().numpy()[chosen],
        accuracy=_nearest_neighbour(evaluation, test) if accuracy is None else accuracy,
        method=method,
        axes=axes,
    )


def _nearest_neighbour(evaluation: Evaluation, test: Float[Tensor, "S D"]) -> float:
    train, labels = evaluation.encode_test(evaluation.train), evaluation.labels(evaluation.train)
    scores = knn_scores(train, labels, test, k=1, classes=len(evaluation.classes))
    return 100 * float((scores.argmax(1) == evaluation.labels(evaluation.test)).float().mean())


def _lay_out(
    features: Float[np.ndarray, "S D"], method: Method, seed: int
) -> tuple[Float[np.ndarray, "S 2"], tuple[str, str]]:
    """Places and the names of the axes.

    Raises:
        InputError: features that are not numbers, or all alike: t-SNE would crash on them (scikit-learn 1.9 with a fault of
            its memory), and there is nothing to see.
    """
    if not np.isfinite(features).all():
        raise InputError(
            f"embedding: features of {(~np.isfinite(features).all(1)).sum()} clips are not finite: nothing to draw"
        )
    spread = float(np.ptp(features, axis=0).max())
    if len(features) > 1 and spread < ALIKE:
        raise InputError(f"embedding: all {len(features)} clips have the same features: nothing to draw")
    components = min(2, *features.shape)
    if method == "tsne" and len(features) > 3:
        perplexity = min(30.0, (len(features) - 1) / 3)
        layout = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        return layout.fit_transform(features), ("t-SNE 1 (no unit)", "t-SNE 2 (no unit)")
    if len(features) < 2:
        return np.zeros((len(features), 2)), ("component 1", "component 2")
    layout = PCA(components, svd_solver="full").fit(features)
    places = np.zeros((len(features), 2))
    places[:, :components] = layout.transform(features)
    share = [*100 * layout.explained_variance_ratio_, 0.0]
    return places, (f"component 1 ({share[0]:.0f} % of the variance)", f"component 2 ({share[1]:.0f} % of the variance)")


def embedding_picture(found: Embedding, classes: tuple[str, ...], *, title: str) -> Picture:
    """The map, a colour and a marker for each class.

    Args:
        found: the map.
        classes: names by label.
        title: what was encoded.
    """
    return Picture("embedding", embedding_figure(found, classes, title=title))


def embedding_figure(found: Embedding, classes: tuple[str, ...], *, title: str) -> Figure:
    """The figure of `embedding_picture`."""
    there = [label for label in range(len(classes)) if (found.label == label).any()]
    columns = -(-len(there) // 30)
    figure = Figure(figsize=(6.4 + 1.9 * columns, 5.8), layout="constrained")
    axes = figure.add_subplot()
    size = float(np.clip(9000 / len(found.label), 8, 34))
    for label in there:
        own = found.label == label
        colour, marker = COLOURS[label % len(COLOURS)], MARKERS[label % len(MARKERS)]
        name = f"{drawn(classes[label])} ({own.sum()})"
        x, y = found.places[own].T
        axes.scatter(x, y, s=size, c=colour, marker=marker, edgecolors="white", linewidths=0.4, label=name)
    axes.set(xlabel=found.axes[0], ylabel=found.axes[1])
    axes.set_title(f"{drawn(title)}\n1 nearest neighbour: {found.accuracy:.1f} % of the test clips", fontsize=11)
    figure.legend(
        loc="outside right center", ncols=columns, frameon=False, fontsize=8, title="class (test clips drawn)", markerscale=1.2
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure
