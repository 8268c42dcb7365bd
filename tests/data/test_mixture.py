"""Which data set a step takes, and which of its clips."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.mixture import Mixture, TrainingSet
from masksem_graph.data.store import StoreWriter, open_store
from masksem_graph.errors import InputError
from masksem_graph.seeding import keyed_generator
from masksem_graph.topology import load_topology


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SkeletonLoader:
    path = tmp_path_factory.mktemp("store") / "two"
    with StoreWriter(path, topology=load_topology("tiny5"), classes=("a",)) as writer:
        for i in range(2):
            body = Body(start=0, frames=np.zeros((4, 5, 3), np.float32), present=np.ones(4, bool))
            writer.add(Clip(name=str(i), label=0, bodies=(body,)))
    return SkeletonLoader(open_store(path), frames=4, segment=2)


def mixture(source: SkeletonLoader, sizes: tuple[int, ...], weights: tuple[float, ...] = (), seed: int = 3) -> Mixture:
    """Sets whose clips are numbered on from 1000 times their position."""
    weights = weights or (1.0,) * len(sizes)
    sets = [
        TrainingSet(name=str(i), source=source, clips=torch.arange(size) + 1000 * i, weight=weight)
        for i, (size, weight) in enumerate(zip(sizes, weights, strict=True))
    ]
    return Mixture(sets, batch_size=4, seed=seed)


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_one_data_set_is_passed_through_once_an_epoch_in_the_order_it_always_had(source: SkeletonLoader, epoch: int) -> None:
    found = list(mixture(source, (10,)).epoch(epoch))
    order = torch.arange(10)[torch.randperm(10, generator=keyed_generator(3, 1, epoch))]
    assert [len(portion.clips) for portion in found] == [4, 4, 2]
    assert all(portion.data_set == 0 for portion in found)
    assert torch.equal(torch.cat([portion.clips for portion in found]), order)


def test_an_epoch_is_as_long_as_a_pass_through_every_set(source: SkeletonLoader) -> None:
    mixed = mixture(source, (10, 33))
    assert mixed.steps == 3 + 9 == len(list(mixed.epoch(0)))
    assert mixed.sequences(0) == sum(len(portion.clips) for portion in mixed.epoch(0))


def test_a_batch_is_of_one_set(source: SkeletonLoader) -> None:
    for portion in mixture(source, (10, 33, 7)).epoch(2):
        assert (portion.clips // 1000 == portion.data_set).all()


def chi_square_p(found: Tensor, expected: Tensor) -> float:
    """How likely counts are at least as far from what is expected."""
    statistic = ((found - expected).square() / expected).sum()
    return torch.special.gammaincc(torch.tensor((len(found) - 1) / 2).double(), statistic / 2).item()


@pytest.mark.parametrize("weights", [(1.0, 1.0), (4.0, 1.0), (0.2, 0.5, 0.3)])
def test_sets_are_taken_by_weight_whatever_their_size(source: SkeletonLoader, weights: tuple[float, ...]) -> None:
    mixed = mixture(source, (200, 40, 80)[: len(weights)], weights)
    epochs = 40
    taken = torch.cat([mixed.choices(epoch) for epoch in range(epochs)]).bincount(minlength=len(weights))
    expected = torch.tensor(weights, dtype=torch.float64) / sum(weights) * taken.sum()
    assert chi_square_p(taken, expected) > 0.01
    alike = torch.full_like(expected, taken.sum() / len(weights))
    assert weights == (1.0, 1.0) or chi_square_p(taken, alike) < 1e-6


def test_a_clip_comes_up_again_only_when_all_of_its_set_did(source: SkeletonLoader) -> None:
    mixed = mixture(source, (10, 33), (1.0, 3.0))
    seen: list[Counter[int]] = [Counter(), Counter()]
    for epoch in range(12):
        for portion in mixed.epoch(epoch):
            seen[portion.data_set].update(portion.clips.tolist())
            times = [seen[portion.data_set][clip] for clip in mixed.sets[portion.data_set].clips.tolist()]
            assert max(times) - min(times) <= 1
    assert min(seen[0].values()) >= 3 and min(seen[1].values()) >= 3


def test_an_epoch_depends_on_the_seed_and_its_number_alone(source: SkeletonLoader) -> None:
    sizes, weights = (10, 33), (1.0, 2.0)
    walked = mixture(source, sizes, weights)
    in_order = [list(walked.epoch(epoch)) for epoch in range(5)]
    torch.rand(5)
    for one, other in zip(in_order[4], mixture(source, sizes, weights).epoch(4), strict=True):
        assert one.data_set == other.data_set and torch.equal(one.clips, other.clips)
    assert [p.data_set for p in in_order[0]] != [p.data_set for p in in_order[1]]
    assert [p.data_set for p in in_order[0]] != [p.data_set for p in mixture(source, sizes, weights, seed=4).epoch(0)]


def test_the_sets_are_shuffled_differently(source: SkeletonLoader) -> None:
    first, second = {}, {}
    for portion in mixture(source, (16, 16)).epoch(0):
        (second if portion.data_set else first)[len(first) if portion.data_set == 0 else len(second)] = portion.clips % 1000
    assert first and second and not torch.equal(first[0], second[0])


def test_a_split_without_training_clips_is_refused(source: SkeletonLoader) -> None:
    with pytest.raises(InputError, match=r"data.split: expected training clips, .*two has none"):
        TrainingSet(name="empty", source=source, clips=torch.arange(0))
