"""View frames: by hand, what they do not depend on, and what becomes of clips that have none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from masksem_graph.data.loader import resize_positions
from masksem_graph.data.prepare import cached_store
from masksem_graph.data.store import Store
from masksem_graph.data.transforms import ViewFrame, reference_pose, to_view, view_frames
from masksem_graph.data.transforms.linear_maps import rotation_matrix
from masksem_graph.data.transforms.view_frame import BODY, RECORDED, YAW
from masksem_graph.errors import InputError
from masksem_graph.files import shipped
from masksem_graph.graph import SkeletonData
from masksem_graph.topology import Topology, load_topology

NAN = float("nan")
WITH_A_FRAME = [name for path in sorted(shipped("graphs").glob("*.yaml")) if (name := path.stem) and load_topology(name).frame]
# Of tiny5: hip, head, left hand, right hand, foot. The body leans: up is -x, its right is -y.
LEANING = torch.tensor([[5.0, 6, 7], [3, 6, 7], [4, 8, 7.5], [4.5, 5, 7.5], [6, 6, 7]])


def random_turns(count: int, seed: int) -> Tensor:
    angles = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return rotation_matrix((2 * angles - 1) * torch.pi)


def test_every_skeleton_in_metres_names_its_frame() -> None:
    assert {"ntu25", "kinect20", "h36m17", "smpl24", "mediapipe33", "tiny5", "ntu25_limbs"} <= set(WITH_A_FRAME)


@pytest.mark.parametrize("name", WITH_A_FRAME)
def test_a_body_at_rest_is_in_its_frame_already(name: str) -> None:
    """x to the right, y up, z to the back, as the files' rest poses have it."""
    topology = load_topology(name)
    pose = torch.tensor([topology.rest_pose[joint] for joint in topology.inputs], dtype=torch.float64)
    for view in ("yaw", "body"):
        _, rotation, kind = view_frames(pose + 3, topology, view)
        assert kind == {"yaw": YAW, "body": BODY}[view]
        torch.testing.assert_close(rotation, torch.eye(3, dtype=torch.float64), atol=0.15 if view == "body" else 1e-9, rtol=0)


def test_body_by_hand(tiny: Topology) -> None:
    origin, rotation, kind = view_frames(LEANING, tiny, "body")
    assert (origin.tolist(), kind.item()) == ([5, 6, 7], BODY)
    torch.testing.assert_close(rotation, torch.tensor([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]]))
    seen = to_view(LEANING[None, None], origin[None], rotation[None], tiny)[0, 0]
    torch.testing.assert_close(seen, torch.tensor([[0.0, 0, 0], [0, 2, 0], [-2, 1, -0.5], [1, 0.5, -0.5], [0, -1, 0]]))


def test_the_three_directions_of_the_source(tiny: Topology) -> None:
    e1 = (LEANING[1] - LEANING[0]) / 2
    across = LEANING[3] - LEANING[2]
    e2 = across - across @ e1 * e1
    e2 = e2 / e2.norm()
    rotation = view_frames(LEANING, tiny, "body")[1]
    torch.testing.assert_close(rotation, torch.stack([e2, e1, -torch.linalg.cross(e1, e2)]))
    assert torch.linalg.det(rotation).item() == pytest.approx(1), "no reflection"


def test_yaw_by_hand(tiny: Topology) -> None:
    pose = LEANING.clone()
    pose[2:4] = torch.tensor([[4.0, 8, 11], [4, 5, 7]])  # the right is towards -z
    origin, rotation, kind = view_frames(pose, tiny, "yaw")
    assert (origin.tolist(), kind.item()) == ([5, 6, 7], YAW)
    torch.testing.assert_close(rotation, torch.tensor([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]))


def test_recorded(tiny: Topology) -> None:
    origin, rotation, kind = view_frames(LEANING.repeat(2, 1, 1), tiny, "recorded")
    assert not origin.any() and torch.equal(rotation, torch.eye(3).expand(2, 3, 3)) and kind.tolist() == [RECORDED] * 2
    coco = load_topology("coco17")
    frames = torch.randn(2, 3, 17, 3)
    assert torch.equal(ViewFrame(view="recorded").apply(frames, torch.rand(2, 0), coco), frames)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(["tiny5", "ntu25", "mediapipe33", "ntu25_limbs"]), seed=st.integers(0, 2**20))
def test_body_does_not_depend_on_camera_and_place(name: str, seed: int) -> None:
    topology, generator = load_topology(name), torch.Generator().manual_seed(seed)
    frames = torch.randn(3, 4, len(topology.inputs), 3, generator=generator, dtype=torch.float64)
    elsewhere = frames @ random_turns(1, seed)[0].mT + torch.randn(3, generator=generator, dtype=torch.float64)
    for of in ("first", "mean"):
        one, other = (
            ViewFrame(view="body", of=of, centred=False).apply(x, x.new_zeros(3, 0), topology) for x in (frames, elsewhere)
        )
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
        distances = [torch.cdist(x.flatten(1, 2), x.flatten(1, 2)) for x in (one, frames)]
        torch.testing.assert_close(*distances, atol=1e-6, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**20), angle=st.floats(-3.1, 3.1))
def test_yaw_does_not_depend_on_a_turn_about_the_vertical(seed: int, angle: float) -> None:
    topology, generator = load_topology("kinect20"), torch.Generator().manual_seed(seed)
    frames = torch.randn(2, 4, 20, 3, generator=generator, dtype=torch.float64)
    turn = rotation_matrix(torch.tensor([[0.0, angle, 0.0]], dtype=torch.float64))[0]
    elsewhere = frames @ turn.mT + torch.randn(3, generator=generator, dtype=torch.float64)
    one, other = (ViewFrame(view="yaw").apply(x, x.new_zeros(2, 0), topology) for x in (frames, elsewhere))
    torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(one[..., 1], frames[..., 1] - frames[:, :1, :1, 1])


def kinds(pose: Tensor, topology: Topology, *, centred: bool = False) -> list[int]:
    found = []
    for view in ("body", "yaw"):
        origin, rotation, kind = view_frames(pose, topology, view, centred=centred)
        assert origin.isfinite().all() and rotation.isfinite().all()
        assert torch.linalg.det(rotation).item() == pytest.approx(1)
        if kind == RECORDED:
            assert not origin.any() and torch.equal(rotation, torch.eye(3))
        found.append(int(kind))
    return found


@pytest.mark.parametrize("gone", [0.0, NAN])
@pytest.mark.parametrize(
    ("joint", "left"),
    [("hip", [RECORDED, RECORDED]), ("head", [YAW, YAW]), ("left_hand", [RECORDED, RECORDED]), ("foot", [BODY, YAW])],
)
def test_missing_joints(tiny: Topology, joint: str, left: list[int], gone: float) -> None:
    pose = LEANING.clone()
    pose[tiny.index[joint]] = gone
    assert kinds(pose, tiny) == left


def test_the_centre_of_centred_clips_is_not_missing(tiny: Topology) -> None:
    pose = LEANING - LEANING[0]
    assert kinds(pose, tiny, centred=True) == [BODY, YAW]
    assert kinds(pose, tiny, centred=False) == [RECORDED, RECORDED]


def test_degenerate(tiny: Topology) -> None:
    pose = LEANING.clone()
    pose[2:4] = torch.tensor([[4.0, 6, 7], [6, 6, 7]])
    assert kinds(pose, tiny) == [YAW, YAW], "hands on the spine's line"
    pose[1] = torch.tensor([5.0, 8, 7])
    pose[2:4] = torch.tensor([[5.0, 9, 7], [5, 3, 7]])
    assert kinds(pose, tiny) == [RECORDED, RECORDED], "and that line is vertical"
    pose[1] = pose[0]
    assert kinds(LEANING[[0, 0, 2, 3, 4]], tiny) == [YAW, YAW], "a spine without length"
    assert kinds(LEANING[[0, 1, 2, 2, 4]], tiny) == [RECORDED, RECORDED], "hips without width"
    assert kinds(torch.zeros(5, 3), tiny, centred=True) == [RECORDED, RECORDED]


def test_the_mean_joints_of_mediapipe() -> None:
    topology = load_topology("mediapipe33")
    pose = torch.randn(33, 3)
    hips = [topology.index[f"{side}_hip"] for side in ("right", "left")]
    torch.testing.assert_close(view_frames(pose, topology, "body")[0], pose[hips].mean(0))
    pose[hips[0]] = NAN
    assert view_frames(pose, topology, "body")[2] == RECORDED, "half of a mean is none"


def test_reference_poses(tiny: Topology) -> None:
    frames = torch.stack([LEANING, LEANING + 1, LEANING + 2, LEANING + 6])[None]
    frames[0, 0, 1], frames[0, 1, 3], frames[0, 2, 4] = 0.0, NAN, NAN
    assert torch.equal(reference_pose(frames, tiny, "first").nan_to_num(-9), frames[:, 2].nan_to_num(-9)), (
        "the foot is not needed"
    )
    mean = reference_pose(frames, tiny, "mean")[0]
    torch.testing.assert_close(mean[0], LEANING[0] + 9 / 4)
    torch.testing.assert_close(mean[1], LEANING[1] + 3)
    torch.testing.assert_close(mean[3], LEANING[3] + 8 / 3)
    frames[:, :, 2] = NAN
    assert torch.equal(reference_pose(frames, tiny, "first").nan_to_num(-9), frames[:, 0].nan_to_num(-9))
    assert reference_pose(frames, tiny, "mean")[0, 2].isnan().all()


def test_bodies_of_a_clip_share_the_frame_of_the_first(tiny: Topology) -> None:
    frames = torch.randn(5, 4, 5, 3, dtype=torch.float64)
    sequence = torch.tensor([0, 0, 1, 2, 2])
    frames[3, :, 2] = frames[3, :, 3]  # the first body of the last clip has no hip line, its second has
    data = SkeletonData.from_frames(frames, topology=tiny, segment=2, sequence=sequence, y=torch.zeros(3, dtype=torch.int64))
    out = ViewFrame(view="body")(data)
    assert out.view_kind.tolist() == [BODY, BODY, RECORDED]
    torch.testing.assert_close(out.frames[3:], frames[3:])
    assert out.frames[[0, 2], 0, 0].norm() < 1e-9 and out.frames[1, 0, 0].norm() > 1e-3
    for clip in ([0, 1], [2], [3, 4]):
        one, other = (torch.cdist(x[clip].flatten(0, 2)[None], x[clip].flatten(0, 2)[None]) for x in (out.frames, frames))
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


def test_refused(tmp_path: Path) -> None:
    coco = load_topology("coco17")
    with pytest.raises(InputError, match=r"^view: coco17 has 2 coordinates in pixels, expected 3; only `recorded` goes$"):
        ViewFrame().apply(torch.randn(1, 2, 17, 3), torch.rand(1, 0), coco)
    path = tmp_path / "headless.yaml"
    path.write_text("name: headless\nextends: tiny5\nwithout: [head]\nadd_bones: [[left_hand, hip], [right_hand, hip]]\n")
    with pytest.raises(InputError, match=r"^view: headless names no joints for the body's frame; expected `frame: \{centre: "):
        ViewFrame().apply(torch.randn(1, 2, 4, 3), torch.rand(1, 0), load_topology(path))


@pytest.fixture(scope="module")
def nw_ucla(shared: Path, cache: Path) -> Store:
    return cached_store("nw_ucla", shared / "nw-ucla", origin="none")


# The table of ../shared/data/README.md has 46.3, 69 to 72, 77.8 and 78.0. The last goes with the first frame's hip centre as
# the origin; the hip centre of the mean pose itself is worth three points more.
@pytest.mark.parametrize(
    ("view", "of", "origin_of", "expected"),
    [
        ("recorded", "first", "first", 46.3),
        ("yaw", "first", "first", 71.0),
        ("body", "first", "first", 77.8),
        ("body", "mean", "first", 78.5),
        ("body", "mean", "mean", 81.9),
    ],
)
def test_real_actions_from_a_camera_that_was_not_trained_on(
    nw_ucla: Store, view: str, of: str, origin_of: str, expected: float
) -> None:
    """1-NN by cosine on raw coordinates of 50 frames, NW-UCLA cross-view."""
    topology, points, counted = nw_ucla.topology, [], [0, 0, 0]
    for begin, end in zip(nw_ucla.body_offset[:-1], nw_ucla.body_offset[1:], strict=True):
        frames = torch.from_numpy(np.array(nw_ucla.frames[begin:end]))[None]
        first, mean = (reference_pose(frames, topology, which, centred=False) for which in ("first", "mean"))
        poses = {"first": first, "mean": mean}
        origin = view_frames(poses[origin_of], topology, view, centred=False)[0]
        _, rotation, kind = view_frames(poses[of], topology, view, centred=False)
        counted[int(kind)] += 1
        index, weight = resize_positions(torch.tensor([frames.shape[1]]), 50)
        seen = to_view(frames, origin, rotation, topology)[0]
        after = seen[(index[0] + 1).clamp(max=len(seen) - 1)]
        points.append(torch.lerp(seen[index[0]], after, weight[0, :, None, None]).flatten())
    assert counted[{"recorded": RECORDED, "yaw": YAW, "body": BODY}[view]] >= 1484 - 5
    unit = torch.nn.functional.normalize(torch.stack(points), dim=1)
    train, test = (torch.from_numpy(part) for part in nw_ucla.splits["xview"].values())
    label = torch.from_numpy(np.array(nw_ucla.label))
    nearest = train[(unit[test] @ unit[train].T).argmax(1)]
    assert 100 * (label[nearest] == label[test]).float().mean().item() == pytest.approx(expected, abs=1)
