"""Clips for a whole batch at once, against slow references that go frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.loader import AbsentFrames, Residency, SkeletonLoader, resize_positions
from masksem_graph.data.store import Store, StoreWriter, open_store
from masksem_graph.data.transforms import Rotate, SkeletonTransform
from masksem_graph.data.views import CropConfig, View, random_view, whole_view
from masksem_graph.errors import InputError
from masksem_graph.seeding import keyed_generator
from masksem_graph.topology import load_topology, parse_topology

TINY = load_topology("tiny5")


def body(start: int, seen: str) -> Body:
    """Frames from ``start`` on; x in ``seen`` is a frame in which the body is present."""
    present = np.array([letter == "x" for letter in seen])
    frames = np.random.randn(len(seen), 5, 3).astype(np.float32) * present[:, None, None]
    return Body(start=start, frames=frames, present=present)


def write(path: Path, clips: Sequence[Sequence[tuple[int, str]]]) -> Store:
    with StoreWriter(path, topology=TINY, classes=("a", "b", "c")) as writer:
        for i, bodies in enumerate(clips):
            writer.add(Clip(name=f"c{i}", label=i % 3, bodies=tuple(body(*given) for given in bodies)))
    return open_store(path)


TURN = Rotate(x=0.3, y=0.3, z=0.3)
TENSORS = {"x", "frames", "edge_index", "edge_attr", "joint", "segment", "body", "batch", "sequence", "y"}
SOME = [
    [(0, "xxxxxxxxxxxx"), (2, "xxxx..x")],
    [(3, "xx.xxxx.xx")],
    [(0, "xxxxxxxxxxxxxxxxxxxx"), (14, "xxxxxx")],
    [(0, "x")],
    [(1, "xx"), (0, "x......x"), (5, "xxxxxxxx")],
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return write(tmp_path / "store", SOME)


def view_of(store: Store, *crops: tuple[int, int, int]) -> View:
    """(clip, start, length) of each sequence."""
    return View(*torch.tensor(crops).T)


def whole(store: Store) -> View:
    return whole_view(torch.arange(len(store)), torch.from_numpy(np.array(store.length)))


# The slow references.


def frames_of(clip: Clip, which: int, start: int, length: int, absent: AbsentFrames) -> Tensor:
    """The crop of one body, frame by frame: [length, V, C]."""
    given = clip.bodies[which]
    at = {given.start + i: given.frames[i] for i in range(len(given.frames)) if given.present[i]}
    out = []
    for frame in range(start, start + length):
        candidates = [t for t in at if start <= t < start + length] or list(at)
        nearest = min(candidates, key=lambda t: (abs(t - frame), t))  # of two equally near ones the earlier
        shown = at[nearest] if absent == "hold" else at.get(frame, np.zeros((5, 3), np.float32))
        out.append(torch.from_numpy(np.array(shown)))
    return torch.stack(out)


def present_bodies(clip: Clip, start: int, length: int, segment: int) -> list[int]:
    seen = [sum(start <= b.start + i < start + length for i in np.flatnonzero(b.present)) for b in clip.bodies]
    return [i for i, count in enumerate(seen) if count >= segment] or [seen.index(max(seen))]


def resized(frames: Tensor, target: int) -> Tensor:
    return F.interpolate(frames.flatten(1).T[None], size=target, mode="linear", align_corners=False)[0].T.view(
        target, *frames.shape[1:]
    )


def differences(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Velocity and acceleration of the original frames, zero where there is no next."""
    v, a = torch.zeros_like(frames), torch.zeros_like(frames)
    for t in range(len(frames)):
        if t + 1 < len(frames):
            v[t] = frames[t + 1] - frames[t]
        if t + 2 < len(frames):
            a[t] = frames[t + 2] - 2 * frames[t + 1] + frames[t]
    return v, a


@pytest.mark.parametrize("target", [1, 2, 7, 60, 120])
def test_resize_is_torchs(target: int) -> None:
    lengths = torch.tensor([*range(1, 40), 59, 60, 61, 119, 120, 121, 300, 1000])
    index, weight = resize_positions(lengths, target)
    for length, i, w in zip(lengths.tolist(), index, weight, strict=True):
        clip = torch.randn(length, 5, 3)
        ours = torch.lerp(clip[i], clip[(i + 1).clamp(max=length - 1)], w[:, None, None])
        assert i.min() >= 0 and i.max() < length
        torch.testing.assert_close(ours, resized(clip, target), atol=2e-4, rtol=0)


def test_resize_to_its_own_length_is_exact(tmp_path: Path) -> None:
    store = write(tmp_path / "store", [[(0, "x" * 12)]])
    source = SkeletonLoader(store, frames=12, segment=4)
    assert torch.equal(source.load(source.plan(whole(store))).frames[0], torch.from_numpy(store[0].bodies[0].frames))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), absent=st.sampled_from(["hold", "zero"]), target=st.integers(1, 15))
def test_any_crop_of_any_store(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, absent: AbsentFrames, target: int
) -> None:
    segment = data.draw(st.sampled_from([length for length in (1, 2, 3, 4) if target % length == 0]))
    inner = st.text("x.", max_size=8).map(lambda seen: f"x{seen}x")
    bodies = st.lists(st.tuples(st.integers(0, 6), st.one_of(inner, st.just("x"))), min_size=1, max_size=3)
    clips = data.draw(st.lists(bodies, min_size=1, max_size=4))
    store = write(tmp_path_factory.mktemp("any") / "store", clips)
    crops = []
    for clip, length in data.draw(
        st.lists(st.tuples(st.integers(0, len(clips) - 1), st.integers(1, 20)), min_size=1, max_size=5)
    ):
        length = min(length, int(store.length[clip]))
        crops.append((clip, data.draw(st.integers(0, int(store.length[clip]) - length)), length))
    source = SkeletonLoader(store, frames=target, segment=segment, absent_frames=absent, derivatives=True)
    plan = source.plan(view_of(store, *crops))
    batch = source.load(plan)
    assert batch.velocity is not None and batch.acceleration is not None

    expected = [
        (s, slot, frames_of(store[clip], slot, start, length, absent))
        for s, (clip, start, length) in enumerate(crops)
        for slot in present_bodies(store[clip], start, length, segment)
    ]
    assert plan.sequence.tolist() == batch.sequence.tolist() == [s for s, _, _ in expected]
    assert plan.slot.tolist() == [slot for _, slot, _ in expected]
    assert batch.y.tolist() == [clip % 3 for clip, _, _ in crops]
    for b, (_, _, frames) in enumerate(expected):
        v, a = differences(frames)
        torch.testing.assert_close(batch.frames[b], resized(frames, target), atol=1e-4, rtol=0)
        torch.testing.assert_close(batch.velocity[b], resized(v, target), atol=1e-4, rtol=0)
        torch.testing.assert_close(batch.acceleration[b], resized(a, target), atol=1e-4, rtol=0)


def test_bodies_that_are_not_there_are_not_computed(store: Store) -> None:
    source = SkeletonLoader(store, frames=4, segment=4)
    # Of clip 0, frames 8-11: its second body has one present frame there; of clip 2, the second enters in frame 14.
    plan = source.plan(view_of(store, (0, 8, 4), (0, 0, 8), (2, 0, 17), (2, 0, 18)))
    assert plan.sequence.tolist() == [0, 1, 1, 2, 3, 3]
    assert plan.slot.tolist() == [0, 0, 1, 0, 0, 1]


def test_no_clip_is_lost(store: Store) -> None:
    source = SkeletonLoader(store, frames=8, segment=4)
    # One frame; and three bodies of which none has four frames in the crop: the longest stays, of equal ones the first.
    plan = source.plan(view_of(store, (3, 0, 1), (4, 0, 3), (4, 5, 3)))
    assert plan.sequence.tolist() == [0, 1, 2]
    assert plan.slot.tolist() == [0, 0, 2]
    batch = source.load(plan)
    assert torch.equal(batch.frames[0], torch.from_numpy(store[3].bodies[0].frames).expand(8, 5, 3))


def test_hold_and_zero_by_hand(store: Store) -> None:
    view = view_of(store, (1, 0, 13))  # present: frames 3 4 . 6 7 8 9 . 11 12
    frames = torch.from_numpy(store[1].bodies[0].frames)
    held = SkeletonLoader(store, frames=13, segment=1)
    shown = held.load(held.plan(view)).frames[0]
    assert torch.equal(shown, frames[[0, 0, 0, 0, 1, 1, 3, 4, 5, 6, 6, 8, 9]])
    zeroed = SkeletonLoader(store, frames=13, segment=1, absent_frames="zero")
    shown = zeroed.load(zeroed.plan(view)).frames[0]
    expected = torch.cat([torch.zeros(3, 5, 3), frames])
    assert torch.equal(shown, expected)
    assert (shown[[0, 1, 2, 5, 10]] == 0).all()


def test_a_held_frame_comes_from_the_crop(store: Store) -> None:
    # Frame 5 of clip 1 is missing; frame 4 is as near as 6, but not in the crop.
    source = SkeletonLoader(store, frames=3, segment=1)
    shown = source.load(source.plan(view_of(store, (1, 5, 3)))).frames[0]
    assert torch.equal(shown, torch.from_numpy(store[1].bodies[0].frames)[[3, 3, 4]])


def turn_of(rotate: Rotate, uniform: Tensor) -> Tensor:
    """The matrix that a transform applies, read off the unit vectors."""
    return rotate.apply(torch.eye(3).expand(1, 1, 3, 3), uniform[None], TINY)[0, 0].T


def test_both_bodies_share_the_turn(store: Store) -> None:
    rotate = Rotate(x=1.0, y=1.0, z=1.0)
    source = SkeletonLoader(store, frames=6, segment=2, transforms=[rotate])
    plain = whole(store)
    turned = random_view(plain.clips, plain.length, CropConfig(share=(1.0, 1.0)), [rotate], keyed_generator(1))
    assert len(turned.uniform) == 1 and torch.equal(turned.length, plain.length)
    plan = source.plan(turned)
    assert plan.sequence.bincount().max() == 3
    before, after = source.load(source.plan(plain)).frames, source.load(plan).frames
    for b, s in enumerate(plan.sequence.tolist()):
        turn = turn_of(rotate, turned.uniform[0][s])
        assert not torch.allclose(turn, torch.eye(3), atol=1e-2)
        torch.testing.assert_close(after[b], torch.einsum("ij,tvj->tvi", turn, before[b]))


class Scaled(SkeletonTransform):
    """Coordinates times its number and one more: not the same before another transform as after it."""

    numbers = 1
    linear = True

    def apply(self, frames: Tensor, uniform: Tensor, topology: Any) -> Tensor:
        return frames * (1 + uniform[:, :, None, None])


class Shifted(Scaled):
    linear = False

    def apply(self, frames: Tensor, uniform: Tensor, topology: Any) -> Tensor:
        return frames + uniform[:, :, None, None]


def test_transforms_come_in_their_order_each_with_numbers_of_its_own(store: Store) -> None:
    plain = whole(store)
    both: list[SkeletonTransform] = [Scaled(), Shifted()]
    view = random_view(plain.clips, plain.length, CropConfig(share=(1.0, 1.0)), both, keyed_generator(3))
    first, second = (draws[:, :, None, None] for draws in view.uniform)
    source = SkeletonLoader(store, frames=6, segment=2, transforms=both)
    plan = source.plan(view)
    before, owner = source.load(source.plan(plain)).frames, plan.sequence
    torch.testing.assert_close(source.load(plan).frames, before * (1 + first[owner]) + second[owner])


def test_a_transform_that_bends_cannot_go_with_derivatives(store: Store) -> None:
    with pytest.raises(InputError, match=r"^augment: Shifted is no linear map of a frame, so it cannot go with targets "):
        SkeletonLoader(store, frames=6, segment=2, derivatives=True, transforms=[Scaled(), Shifted()])
    assert SkeletonLoader(store, frames=6, segment=2, derivatives=True, transforms=[Scaled()]).derivatives


@pytest.mark.parametrize("view", ["yaw", "body"])
def test_absent_frames_are_zero_in_every_view(store: Store, view: Any) -> None:
    """At the origin of the view, wherever that lies in the recording; frames that are there are where they are if held."""
    shown = {}
    for absent in ("hold", "zero"):
        source = SkeletonLoader(store, frames=13, segment=1, absent_frames=absent, view=view, derivatives=True)
        shown[absent] = source.load(source.plan(view_of(store, (1, 0, 13))))  # present: frames 3 4 . 6 7 8 9 . 11 12
    missing = [0, 1, 2, 5, 10]
    present = [frame for frame in range(13) if frame not in missing]
    held, zero = shown["hold"].frames[0], shown["zero"].frames[0]
    assert (zero[missing] == 0).all() and not (held[missing] == 0).flatten(1).all(1).any()
    torch.testing.assert_close(zero[present], held[present])
    v, a = differences(zero)
    torch.testing.assert_close(shown["zero"].velocity[0], v)
    torch.testing.assert_close(shown["zero"].acceleration[0], a)
    recorded = SkeletonLoader(store, frames=13, segment=1)
    plain = recorded.load(recorded.plan(view_of(store, (1, 0, 13)))).frames[0]
    assert not torch.allclose(held, plain, atol=1e-2)
    torch.testing.assert_close(torch.cdist(held, held), torch.cdist(plain, plain), atol=1e-4, rtol=0)


def test_streams(store: Store) -> None:
    joint = SkeletonLoader(store, frames=6, segment=2)
    x = joint.load(joint.plan(whole(store))).frames
    bone = SkeletonLoader(store, frames=6, segment=2, stream="bone")
    shown = bone.load(bone.plan(whole(store))).frames
    for child, parent in enumerate([0, 0, 1, 1, 0]):
        torch.testing.assert_close(shown[:, :, child], x[:, :, child] - x[:, :, parent])
    assert (shown[:, :, 0] == 0).all(), "the centre has no parent"
    motion = SkeletonLoader(store, frames=6, segment=2, stream="motion")
    shown = motion.load(motion.plan(whole(store))).frames
    torch.testing.assert_close(shown[:, :-1], x[:, 1:] - x[:, :-1])
    assert (shown[:, -1] == 0).all()


def test_derivatives_follow_the_stream_and_the_turn(store: Store) -> None:
    plain = whole(store)
    view = random_view(plain.clips, plain.length, CropConfig(min_frames=2), [TURN], keyed_generator(2))
    loaded = {}
    for stream in ("joint", "bone"):
        source = SkeletonLoader(store, frames=6, segment=2, stream=stream, derivatives=True, transforms=[TURN])
        loaded[stream] = source.load(source.plan(view))
    parents = [0, 0, 1, 1, 0]
    for field in ("frames", "velocity", "acceleration"):
        joint, bone = (getattr(loaded[stream], field) for stream in ("joint", "bone"))
        torch.testing.assert_close(bone, joint - joint[:, :, parents], atol=1e-5, rtol=0)
    # At half the frames' rate and turned, a velocity keeps its length.
    source = SkeletonLoader(store, frames=6, segment=2, derivatives=True)
    unturned = source.load(source.plan(View(view.clips, view.start, view.length)))
    assert not torch.allclose(unturned.frames, loaded["joint"].frames, atol=1e-2)
    assert unturned.velocity is not None and loaded["joint"].velocity is not None
    torch.testing.assert_close(loaded["joint"].velocity.norm(dim=-1), unturned.velocity.norm(dim=-1), atol=1e-5, rtol=0)


def test_motion_has_no_derivatives_before_the_resize(store: Store) -> None:
    with pytest.raises(InputError, match=r"^data.stream: motion cannot go with targets differenced before the resize"):
        SkeletonLoader(store, frames=6, segment=2, stream="motion", derivatives=True)


@pytest.mark.parametrize("residency", ["disk", "device"])
def test_where_frames_lie_changes_nothing(store: Store, residency: Residency) -> None:
    batches = []
    for where in ("memory", residency):
        source = SkeletonLoader(store, frames=6, segment=2, residency=where, derivatives=True)
        batches.append(source.load(source.plan(whole(store))))
    assert batches[0].keys() == batches[1].keys() and {"velocity", "acceleration"} <= set(batches[0].keys())
    for name in TENSORS | {"velocity", "acceleration"}:
        assert torch.equal(batches[0][name], batches[1][name]), name


@settings(max_examples=30, deadline=None)
@given(first=st.integers(0, 5), last=st.integers(0, 5))
def test_a_part_of_a_plan_is_a_slice(tmp_path_factory: pytest.TempPathFactory, first: int, last: int) -> None:
    first, last = min(first, last), max(first, last)
    store = write(tmp_path_factory.mktemp("part") / "store", SOME)
    source = SkeletonLoader(store, frames=6, segment=2, transforms=[TURN])
    plain = whole(store)
    view = random_view(plain.clips, plain.length, CropConfig(min_frames=2), [TURN], keyed_generator(3))
    plan = source.plan(view)
    part = plan.part(first, last)
    inside = (plan.sequence >= first) & (plan.sequence < last)
    assert torch.equal(part.body, plan.body[inside])
    if last > first:
        everything, some = source.load(plan), source.load(part)
        assert torch.equal(some.frames, everything.frames[inside])
        assert torch.equal(some.sequence, everything.sequence[inside] - first)
        assert torch.equal(some.y, everything.y[first:last])


def test_loading_twice_gives_the_same(store: Store) -> None:
    source = SkeletonLoader(store, frames=6, segment=2, transforms=[TURN])
    lengths = source.length

    def load(*key: int) -> Tensor:
        view = random_view(torch.arange(5), lengths, CropConfig(min_frames=4), [TURN], keyed_generator(*key))
        return source.load(source.plan(view)).frames

    assert torch.equal(load(1, 2), load(1, 2))
    assert not torch.equal(load(1, 2)[0], load(1, 3)[0])


def test_joints_by_name(store: Store, tmp_path: Path) -> None:
    """Some of the store's joints, in another order; bones are taken between all joints first."""
    fields = {"extends": "tiny5", "without": ["left_hand"], "context": ["foot"]}
    (tmp_path / "some.yaml").write_text(yaml.safe_dump({"name": "some", **fields}))
    some = load_topology(tmp_path / "some.yaml")
    turned = parse_topology(some.to_dict() | {"joints": list(some.inputs[::-1])}, source_file="turned")
    for topology, columns in ((some, [0, 1, 3, 4]), (turned, [4, 3, 1, 0]), (TINY, [0, 1, 2, 3, 4])):
        for stream in ("joint", "bone", "motion"):
            everything = SkeletonLoader(store, frames=8, segment=2, stream=stream)
            chosen = SkeletonLoader(store, frames=8, segment=2, stream=stream, topology=topology)
            both = (source.load(source.plan(whole(store))).frames for source in (everything, chosen))
            assert torch.equal(next(both)[:, :, columns], next(both))
    with pytest.raises(InputError, match=r"^kinect20: its joint 'hip_centre' is not one of the 5 joints of tiny5$"):
        SkeletonLoader(store, frames=8, segment=2, topology=load_topology("kinect20"))
