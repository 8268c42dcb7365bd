"""Maps of features: seeded, labelled, and with the accuracy of k-NN."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from rich.progress import Progress

from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.views import CropConfig
from masksem_graph.errors import InputError
from masksem_graph.pictures.embedding import MARKERS, _lay_out, embed, embedding_picture
from masksem_graph.protocols import KNN, Evaluation
from masksem_graph.report.skeleton import COLOURS
from masksem_graph.tasks.pretrain import Pretrain

Make = Callable[..., Pretrain]


@pytest.fixture
def evaluation(make_task: Make, source: SkeletonLoader) -> Evaluation:
    both = torch.tensor([0, 1])
    return Evaluation(
        encoder=make_task().student,
        source=source,
        train=both,
        test=both.flip(0).repeat(4),
        classes=source.store.classes,
        crop=CropConfig(),
    )


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_the_same_map_each_time(evaluation: Evaluation, method: str) -> None:
    one, again = (embed(evaluation, method=method, seed=1) for _ in range(2))  # type: ignore[arg-type]
    np.testing.assert_array_equal(one.places, again.places)
    assert one.label.tolist() == [1, 0] * 4 and one.accuracy == 100
    with Progress(disable=True) as progress:
        assert one.accuracy == KNN().run(evaluation, seed=0, progress=progress).figures["top1_k1"]


def test_at_most_so_many(evaluation: Evaluation) -> None:
    found = embed(evaluation, most=5, accuracy=12.5)
    assert found.places.shape == (5, 2) and found.accuracy == 12.5


def test_components_by_hand() -> None:
    features = np.array([[0.0, 0, 0], [4, 0, 0], [2, 1, 0], [2, -1, 0]])
    places, axes = _lay_out(features, "pca", 0)
    np.testing.assert_allclose(np.abs(places), [[2, 0], [2, 0], [0, 1], [0, 1]], atol=1e-12)
    assert axes == ("component 1 (80 % of the variance)", "component 2 (20 % of the variance)")
    assert _lay_out(features[:1], "pca", 0)[0].shape == (1, 2), "a single clip has a place too"


def test_classes_look_different() -> None:
    looks = {(COLOURS[label % len(COLOURS)], MARKERS[label % len(MARKERS)]) for label in range(120)}
    assert len(looks) == 120 and len(set(product(COLOURS, MARKERS))) == 120


def test_title_and_legend(evaluation: Evaluation) -> None:
    figure = embedding_picture(embed(evaluation, method="pca"), ("go_right", "sway"), title="mine").figure
    assert figure.axes[0].get_title() == "mine\n1 nearest neighbour: 100.0 % of the test clips"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["go_right (4)", "sway (4)"]
    assert figure.axes[0].get_xlabel().startswith("component 1")


@pytest.mark.parametrize("method", ["tsne", "pca"])
@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.full((20, 4), 0.5), "all 20 clips have the same features"),
        (np.full((20, 4), 0.5) + 1e-9 * np.arange(20)[:, None], "all 20 clips have the same features"),
        (np.where(np.eye(20, 4) > 0, np.nan, 1.0), "features of 4 clips are not finite"),
        (np.where(np.eye(20, 4) > 0, np.inf, 1.0), "features of 4 clips are not finite"),
    ],
)
def test_features_with_nothing_to_see_are_refused(features: np.ndarray, message: str, method: str) -> None:
    with pytest.raises(InputError, match=message):
        _lay_out(features, method, 0)  # type: ignore[arg-type]


def test_features_that_are_nearly_alike_are_laid_out() -> None:
    features = np.full((20, 4), 0.5) + 1e-5 * np.arange(20)[:, None]
    for method in ("tsne", "pca"):
        assert np.isfinite(_lay_out(features, method, 0)[0]).all()  # type: ignore[arg-type]
    twins = np.repeat(np.eye(4)[:2], 10, axis=0)
    assert np.isfinite(_lay_out(twins, "tsne", 0)[0]).all()
