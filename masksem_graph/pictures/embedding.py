"""A map of the features that an encoder gives to the clips of a split."""

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from masksem_graph.errors import InputError
from masksem_graph.pictures.picture import Picture
from masksem_graph.protocols import Evaluation, knn_scores
from masksem_graph.report.names import drawn
from masksem_graph.report.skeleton import COLOURS, draw_dots
from masksem_graph.seeding import Purpose, keyed_generator

Method = Literal["tsne", "pca"]
MOST_POINTS = 2000
ALIKE = 1e-6
"""Features of unit length that differ by less in every dimension are the same but for rounding."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*", "h", "d", "8", "H")
"""As many as have no common factor with the number of colours: 120 classes look different."""


class Embedding(NamedTuple):
    """Clips on a plane: their places and classes, what the axes are called, and the accuracy of the nearest neighbour.

    The accuracy, in per cent, is that of test clips among the training clips, in the space of all features.
    """

    places: Float[np.ndarray, "S 2"]
    axes: tuple[str, str]
    label: Int64[np.ndarray, " S"]
    accuracy: float


def embed(
    evaluation: Evaluation, *, method: Method = "tsne", seed: int = 0, most: int = MOST_POINTS, accuracy: float | None = None
) -> Embedding:
    """Encode a split, and lay its test clips out on a plane.

    Args:
        evaluation: the encoder and the split.
        method: t-SNE (van der Maaten and Hinton, JMLR 2008), started from the principal components, or these alone.
        seed: of t-SNE, and of the choice where there are more than ``most`` clips.
        accuracy: of the nearest neighbour, where it is known already: the training clips are then not encoded.
    """
    test, truth = evaluation.encode_test(evaluation.test), evaluation.labels(evaluation.test)
    chosen = torch.randperm(len(test), generator=keyed_generator(seed, Purpose.PICTURE_POINTS))[:most].sort().values
    # As for k-NN, directions matter and lengths do not.
    features = torch.nn.functional.normalize(test, dim=1).cpu().double().numpy()[chosen]
    laid_out = _lay_out(features, method, seed)
    if accuracy is None:
        train, labels = evaluation.encode_test(evaluation.train), evaluation.labels(evaluation.train)
        scores = knn_scores(train, labels, test, k=1, classes=len(evaluation.classes))
        accuracy = 100 * float((scores.argmax(1) == truth).float().mean())
    return Embedding(*laid_out, truth.cpu().numpy()[chosen], accuracy)


def _lay_out(
    features: Float[np.ndarray, "S D"], method: Method, seed: int
) -> tuple[Float[np.ndarray, "S 2"], tuple[str, str]]:
    """Places and the names of the axes; on features that are not numbers or all alike t-SNE would crash (scikit-learn 1.9)."""
    if bad := (~np.isfinite(features).all(1)).sum():
        raise InputError(f"embedding: features of {bad} clips are not finite: nothing to draw")
    if len(features) > 1 and np.ptp(features, axis=0).max() < ALIKE:
        raise InputError(f"embedding: all {len(features)} clips have the same features: nothing to draw")
    if method == "tsne" and len(features) > 3:
        perplexity = min(30.0, (len(features) - 1) / 3)
        layout = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        return layout.fit_transform(features), ("t-SNE 1 (no unit)", "t-SNE 2 (no unit)")
    places, share = np.zeros((len(features), 2)), np.zeros(2)
    if len(features) > 1:
        components = min(2, *features.shape)
        layout = PCA(components, svd_solver="full").fit(features)
        places[:, :components] = layout.transform(features)
        share[:components] = 100 * layout.explained_variance_ratio_
    return places, (f"component 1 ({share[0]:.0f} % of the variance)", f"component 2 ({share[1]:.0f} % of the variance)")


def embedding_picture(found: Embedding, classes: tuple[str, ...], *, title: str) -> Picture:
    """The map, a colour and a marker for each class; ``classes`` are names by label, ``title`` says what was encoded."""
    there = np.unique(found.label)
    columns = -(-len(there) // 30)
    figure = Figure(figsize=(6.4 + 1.9 * columns, 5.8), layout="constrained")
    axes = figure.add_subplot()
    size = float(np.clip(9000 / len(found.label), 8, 34))
    for label in there:
        own = found.label == label
        colour, marker = COLOURS[label % len(COLOURS)], MARKERS[label % len(MARKERS)]
        name = f"{drawn(classes[label])} ({own.sum()})"
        look: dict[str, Any] = {"c": colour, "marker": marker, "edgecolors": "white", "linewidths": 0.4}
        draw_dots(axes, found.places[own], s=size, label=name, **look)
    axes.set(xlabel=found.axes[0], ylabel=found.axes[1])
    axes.set_title(f"{drawn(title)}\n1 nearest neighbour: {found.accuracy:.1f} % of the test clips", fontsize=11)
    told = "class (test clips drawn)"
    figure.legend(loc="outside right center", ncols=columns, frameon=False, fontsize=8, title=told, markerscale=1.2)
    axes.spines[["top", "right"]].set_visible(False)
    return Picture("embedding", figure)
