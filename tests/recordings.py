"""Writes recordings as pose trackers write them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def walk(joints: int, frames: int = 12, *, seed: int = 0, at: Any = (300, 200)) -> np.ndarray:
    """Somebody in an image who moves little from frame to frame, x, y and a score, [T, V, 3]."""
    random = np.random.default_rng(seed)
    pose = np.array(at) + random.uniform(-50, 50, (joints, 2))
    points = pose + 5 * np.sin(np.arange(frames) / 3)[:, None, None] * random.uniform(-1, 1, (joints, 2))
    return np.concatenate([points, random.uniform(0.5, 1, (frames, joints, 1))], -1).round(3)


def save_openpose(folder: Path, *people: np.ndarray, start: int = 0, step: int = 1, leave: Sequence[int] = ()) -> Path:
    """A file a frame, without those in ``leave``."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(len(people[0])):
        if i not in leave:
            there = [{"person_id": [-1], "pose_keypoints_2d": person[i].ravel().tolist()} for person in people]
            (folder / f"clip_{start + step * i:012}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": there}))
    return folder


def save_results(path: Path, *people: np.ndarray, **more: Any) -> Path:
    """COCO's results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [
        {"image_id": 100 + i, "category_id": 1, "keypoints": person[i].ravel().tolist(), "score": 0.9, **more}
        for person in people
        for i in range(len(person))
    ]
    path.write_text(json.dumps(entries))
    return path


def save_yolo(folder: Path, *people: np.ndarray, size: tuple[int, int], more: Sequence[Any] = ()) -> Path:
    """YOLO's text: shares of the picture; ``more`` is at each line's end, ``id`` there is the person's number."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(len(people[0])):
        lines = []
        for number, person in enumerate(people, 1):
            shares = person[i] / np.array([*size, 1])[: person.shape[-1]]
            end = [str(number if cell == "id" else cell) for cell in more]
            lines.append(" ".join(["0", "0.5", "0.5", "0.2", "0.4", *(f"{x:.9g}" for x in shares.ravel()), *end]))
        (folder / f"video_{i + 1}.txt").write_text("\n".join(lines) + "\n")
    return folder


def save_stgcn(
    folder: Path, part: str, clips: np.ndarray, names: Sequence[str], labels: Sequence[int], joint: str = "_joint"
) -> Path:
    """Clips [N, M, T, V, C] as [N, C, T, V, M]."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{part}_data{joint}.npy", clips.transpose(0, 4, 2, 3, 1).astype(np.float32))
    (folder / f"{part}_label.pkl").write_bytes(pickle.dumps((list(names), list(labels))))
    return folder


BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 0 10 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Spine
  {
    OFFSET 0 4 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT Head
    {
      OFFSET 0 2 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      End Site
      {
        OFFSET 0 1 0
      }
    }
  }
  JOINT LeftLeg
  {
    OFFSET 2 0 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -5 0
    }
  }
  JOINT RightLeg
  {
    OFFSET -2 0 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -5 0
    }
  }
}
MOTION
Frames: FRAMES
Frame Time: 0.00833333
"""


def save_bvh(path: Path, motion: np.ndarray, head: str = BVH) -> Path:
    """Eight joints, 18 channels [T, 18]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [" ".join(f"{x:.6f}" for x in row) for row in motion]
    path.write_text(head.replace("FRAMES", str(len(rows))) + "\n".join(rows) + "\n")
    return path
