"""What holds for every transform, and for one of a user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jaxtyping import Float
from jsonargparse import ArgumentParser
from torch import Tensor
from torch_geometric.loader import DataLoader
from torch_geometric.transforms import Compose

import masksem_graph.data.transforms as transforms
from masksem_graph.data.transforms import (
    DropAxis,
    DropJoints,
    Mirror,
    Noise,
    ReverseTime,
    Rotate,
    Scale,
    Shear,
    SkeletonTransform,
    ViewFrame,
)
from masksem_graph.errors import InputError
from masksem_graph.files import shipped
from masksem_graph.graph import SkeletonBatch, SkeletonData, nodes_of, to_segments
from masksem_graph.topology import Topology, load_topology


class Shift(SkeletonTransform):
    """As a user would write it: a clip moved along x."""

    numbers = 1

    def __init__(self, *, largest: float) -> None:
        self.largest = largest

    def apply(
        self, frames: Float[Tensor, "B T V C"], uniform: Float[Tensor, "B numbers"], topology: Topology
    ) -> Float[Tensor, "B T V C"]:
        moved = frames.clone()
        moved[..., 0] += self.largest * uniform[:, :1, None]
        return moved


ALL: list[SkeletonTransform] = [
    Rotate(x=0.3, y=1.0, z=0.2),
    Shear(amount=0.5),
    Mirror(),
    Scale(low=0.5, high=1.5),
    Scale(low=0.5, high=1.5, limbs=True),
    Noise(std=0.1),
    DropJoints(share=0.4),
    DropAxis(probability=0.7),
    ReverseTime(),
    ViewFrame(),
    ViewFrame(view="yaw", of="mean"),
    ViewFrame(view="recorded"),
    Shift(largest=2.0),
]
IN_AN_IMAGE = [
    Rotate(z=0.4),
    Shear(amount=0.5),
    Mirror(),
    Scale(low=0.5, high=1.5),
    Scale(low=0.5, high=1.5, limbs=True),
    Noise(std=0.1),
    DropJoints(share=0.4),
    DropAxis(axes=("x", "y"), probability=0.7),
    ReverseTime(),
]
every = pytest.mark.parametrize("transform", ALL, ids=str)


def test_none_is_forgotten() -> None:
    shipped_classes = {name for name in transforms.__all__ if isinstance(getattr(transforms, name), type)}
    assert {type(transform).__name__ for transform in ALL} - {"Shift"} == shipped_classes - {"SkeletonTransform"}


def applied(transform: SkeletonTransform, frames: Tensor, topology: Topology, seed: int = 0) -> Tensor:
    uniform = torch.rand(len(frames), transform.numbers, generator=torch.Generator().manual_seed(seed))
    return transform.apply(frames, uniform, topology)


@every
@pytest.mark.parametrize("name", ["tiny5", "tiny5_limbs", "ntu25", "ntu25_limbs", "mediapipe33"])
def test_all_at_once_is_one_by_one(transform: SkeletonTransform, name: str) -> None:
    topology = load_topology(name)
    frames, uniform = torch.randn(7, 6, len(topology.inputs), 3), torch.rand(7, transform.numbers)
    before = frames.clone()
    together = transform.apply(frames, uniform, topology)
    assert torch.equal(frames, before), "what it is given is left alone"
    assert together.shape == frames.shape and together.isfinite().all()
    alone = torch.cat([transform.apply(frames[[i]], uniform[[i]], topology) for i in range(7)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-6)
    order = torch.tensor([3, 6, 0, 5, 1, 4, 2])
    torch.testing.assert_close(transform.apply(frames[order], uniform[order], topology), together[order], atol=1e-6, rtol=1e-6)
    halves = torch.cat([transform.apply(frames[a:b], uniform[a:b], topology) for a, b in ((0, 2), (2, 7))])
    torch.testing.assert_close(together, halves, atol=1e-6, rtol=1e-6)
    assert len(transform.apply(frames[:0], uniform[:0], topology)) == 0


@every
def test_linear_means_linear(transform: SkeletonTransform, tiny: Topology) -> None:
    one, other = torch.randn(2, 6, 4, 5, 3)
    both = applied(transform, 2 * one - 3 * other, tiny)
    apart = 2 * applied(transform, one, tiny) - 3 * applied(transform, other, tiny)
    velocity = applied(transform, one[:, 1:] - one[:, :-1], tiny)
    steps = applied(transform, one, tiny).diff(dim=1)
    if transform.linear:
        torch.testing.assert_close(both, apart, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(velocity, steps, atol=1e-5, rtol=1e-5)
    elif transform != ViewFrame(view="recorded"):
        assert not torch.allclose(both, apart, atol=1e-2) or not torch.allclose(velocity, steps, atol=1e-2)


@every
def test_a_torch_geometric_transform(transform: SkeletonTransform, clips: SkeletonBatch, tiny: Topology) -> None:
    before = clips.frames.clone()
    torch.manual_seed(7)
    out = transform(clips)
    assert type(out) is SkeletonBatch and torch.equal(clips.frames, before)
    assert torch.equal(out.x, to_segments(out.frames, 2).flatten(0, 2))
    assert torch.equal(out.edge_index, clips.edge_index) and torch.equal(out.y, clips.y)
    assert transform.numbers == 0 or not torch.equal(out.frames, transform(clips).frames), "other numbers, other frames"
    torch.manual_seed(7)
    uniform = torch.rand(3, transform.numbers)
    assert torch.equal(out.frames, transform.forward(clips, uniform).frames)
    if not isinstance(transform, ViewFrame):
        assert torch.equal(out.frames, transform.apply(clips.frames, uniform[clips.sequence], tiny))


@every
def test_bodies_of_a_clip_are_transformed_alike(transform: SkeletonTransform, tiny: Topology) -> None:
    body = torch.randn(1, 4, 5, 3)
    twins = SkeletonData.from_frames(body.repeat(2, 1, 1, 1), topology=tiny, segment=2)
    first, second = transform(twins).frames
    torch.testing.assert_close(first, second, atol=0, rtol=0)


def test_composed_over_a_loader(tiny: Topology) -> None:
    chain = Compose([Rotate(y=0.5), Mirror(), ViewFrame()])
    items = [
        chain(SkeletonData.from_frames(torch.randn(n, 4, 5, 3), topology=tiny, segment=2, y=torch.tensor([n])))
        for n in (1, 2, 1)
    ]
    batch = next(iter(DataLoader(items, batch_size=3)))
    assert batch.frames.shape == (4, 4, 5, 3) and batch.sequence.tolist() == [0, 1, 1, 2]
    assert batch.view_kind.tolist() == [2, 2, 2]


def test_context_joints_are_transformed_and_are_no_nodes() -> None:
    topology = load_topology("tiny5_limbs")
    frames = torch.randn(1, 2, 5, 3)
    out = Rotate(x=1.0, y=1.0, z=1.0)(SkeletonData.from_frames(frames, topology=topology, segment=1))
    assert torch.equal(out.x, nodes_of(out.frames, topology).flatten(0, 2))
    torch.testing.assert_close(out.context.norm(dim=-1), frames[:, :, [0]].norm(dim=-1))
    assert not torch.allclose(out.context, frames[:, :, [0]])


@pytest.mark.parametrize("transform", IN_AN_IMAGE, ids=str)
def test_scores_stay(transform: SkeletonTransform) -> None:
    topology = load_topology("coco17")
    frames = torch.cat([torch.randn(20, 4, 17, 2), torch.rand(20, 4, 17, 1) + 1], -1)
    out = applied(transform, frames, topology)
    scores = out[..., 2]
    if isinstance(transform, DropJoints):
        assert ((scores == frames[..., 2]) | (scores == 0)).all() and (scores == 0).any()
    elif isinstance(transform, Mirror | ReverseTime):
        assert torch.equal(scores.flatten(1).sort().values, frames[..., 2].flatten(1).sort().values), "moved with its joint"
    else:
        assert torch.equal(scores, frames[..., 2])
    without = applied(transform, frames[..., :2], topology)
    torch.testing.assert_close(out[..., :2], without)


@pytest.mark.parametrize("transform", [t for t in ALL if not isinstance(t, Shift | ReverseTime)], ids=str)
def test_too_few_coordinates(transform: SkeletonTransform, tiny: Topology) -> None:
    with pytest.raises(InputError, match=r"^tiny5: expected 3 coordinates a joint \(metres\), found 2$"):
        applied(transform, torch.randn(2, 4, 5, 2), tiny)


@every
def test_velocities(transform: SkeletonTransform, tiny: Topology) -> None:
    frames, velocity, acceleration = torch.randn(3, 2, 4, 5, 3)
    data = SkeletonData.from_frames(frames, topology=tiny, segment=2, velocity=velocity, acceleration=acceleration)
    if not transform.linear:
        with pytest.raises(
            InputError, match=f"^augment: {type(transform).__name__} does not act on velocities as on positions"
        ):
            transform(data)
        return
    uniform = torch.rand(1, transform.numbers)
    out = transform.forward(data, uniform)
    for was, now in ((velocity, out.velocity), (acceleration, out.acceleration)):
        assert torch.equal(now, transform.apply(was, uniform.expand(2, -1), tiny))
    assert torch.equal(data.velocity, velocity)


@pytest.mark.parametrize("path", sorted(shipped("configs").glob("augment/*.yaml")), ids=lambda path: path.stem)
def test_shipped_lists_are_read_and_run(path: Path, clips: SkeletonBatch) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--augment", type=list[SkeletonTransform])
    read: Any = parser.instantiate(parser.parse_object({"augment": yaml.safe_load(path.read_text())}))
    assert all(isinstance(transform, SkeletonTransform) for transform in read.augment)
    assert torch.equal(Compose(read.augment)(clips).frames, clips.frames) == (path.stem == "none")


def test_the_shipped_lists() -> None:
    assert {path.stem for path in shipped("configs").glob("augment/*.yaml")} == {
        "none",
        "rotate",
        "strong",
        "turn_in_plane",
        "wide_turn",
    }
