"""1 % is 1 %: sizes, proportions, seeds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from masksem_graph.errors import InputError
from masksem_graph.protocols.labels import LabelsConfig

LABELS = torch.arange(1000) % 10
CLIPS = torch.arange(1000) + 7


@pytest.mark.parametrize("draw", ["stratified", "plain"])
@pytest.mark.parametrize(("share", "count"), [(0.01, 10), (0.1, 100), (0.033, 33), (1.0, 1000)])
def test_a_share_is_that_share(draw: str, share: float, count: int) -> None:
    chosen = LabelsConfig(share=share, draw=draw).choose(CLIPS, LABELS, seed=0)
    assert len(chosen) == len(set(chosen.tolist())) == count
    assert set(chosen.tolist()) <= set(CLIPS.tolist())
    if draw == "stratified":
        assert (LABELS[chosen - 7].bincount(minlength=10) - count / 10).abs().max() < 1


def test_per_class() -> None:
    chosen = LabelsConfig(per_class=5).choose(CLIPS, LABELS, seed=0)
    assert LABELS[chosen - 7].bincount().tolist() == [5] * 10


def test_the_seed_alone_decides() -> None:
    config = LabelsConfig(share=0.1)
    first, other = (config.choose(CLIPS, LABELS, seed=seed) for seed in (1, 2))
    torch.rand(3)
    assert torch.equal(first, config.choose(CLIPS, LABELS, seed=1))
    assert not torch.equal(first, other)


def test_plain_draws_ignore_classes() -> None:
    """Over many seeds the count of a class varies as the hypergeometric distribution does, stratified counts never."""
    counts = [
        int((LABELS[LabelsConfig(share=0.1, draw="plain").choose(CLIPS, LABELS, seed=s) - 7] == 0).sum()) for s in range(300)
    ]
    counts = torch.tensor(counts, dtype=torch.float64)
    assert abs(counts.mean() - 10) < 4 * 2.85 / 300**0.5
    assert 2.3 < counts.std() < 3.4, "sqrt(100 * 0.1 * 0.9 * 900 / 999) = 2.85"


@given(st.lists(st.integers(1, 40), min_size=2, max_size=12), st.floats(0.05, 1), st.integers(0, 3))
def test_stratified_is_exact_and_leaves_no_class_out(sizes: list[int], share: float, seed: int) -> None:
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    clips, config = torch.arange(len(labels)), LabelsConfig(share=share)
    if round(share * len(labels)) < len(sizes):
        with pytest.raises(InputError, match=r"^labels.share: .* expected at least "):
            config.choose(clips, labels, seed)
        return
    count = labels[config.choose(clips, labels, seed)].bincount(minlength=len(sizes))
    assert count.sum() == round(share * len(labels))
    assert (count >= 1).all() and (count <= torch.tensor(sizes)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 0.0}, r"labels.share: expected a share in \(0, 1\], found 0.0"),
        ({"share": 1.5}, r"labels.share: expected a share in \(0, 1\], found 1.5"),
        ({"per_class": 0}, "labels.per_class: expected at least 1, found 0"),
        ({"per_class": 2, "share": 0.1}, "labels.per_class: takes the place of labels.share"),
    ],
)
def test_options_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        LabelsConfig(**options)


def test_more_per_class_than_there_are() -> None:
    with pytest.raises(InputError, match=r"^labels.per_class: expected at most 100, the smallest class, found 101"):
        LabelsConfig(per_class=101).choose(CLIPS, LABELS, seed=0)
