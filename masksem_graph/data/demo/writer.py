"""NTU RGB+D ``.skeleton`` text, as the Kinect's recorder wrote it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from masksem_graph.data.demo.body import JOINTS
from masksem_graph.data.demo.sensor import Recording

FOCAL_PX, CENTRE_PX = 365.0, (256.0, 208.0)
"""The Kinect v2's depth camera, seen as a pinhole, in pixels."""
TRACKED, INFERRED = 2, 1

JOINT_LINE = "%.5f %.5f %.5f %.0f %.0f 0 0 0 0 0 0 %d\r\n"
"""Camera space in metres, depth pixel; no colour pixel and no orientation; tracking state."""
BODY_LINE = "{} 0 1 1 1 1 0 {:.4f} {:.4f} 2\r\n25\r\n"
"""Id, clipped edges, confidence and state of the left and right hand, restricted, lean to x and y, tracking state."""
BODY_FORMAT = JOINT_LINE * len(JOINTS)


def skeleton_text(recording: Recording, ids: tuple[int, ...]) -> str:
    """The text of a file.

    Args:
        recording: what the camera saw.
        ids: the sensor's 64-bit number of each body.
    """
    rows = np.concatenate([recording.joints, depth_pixels(recording.joints), _states(recording)[..., None]], axis=-1)
    bodies, frames = recording.seen.shape
    lean = _lean(recording.joints)
    parts = [f"{frames}\r\n"]
    for t in range(frames):
        parts.append(f"{recording.seen[:, t].sum()}\r\n")
        for body in range(bodies):
            if recording.seen[body, t]:
                parts.append(BODY_LINE.format(ids[body], *lean[body, t]))
                parts.append(BODY_FORMAT % tuple(rows[body, t].ravel().tolist()))
    return "".join(parts)


def depth_pixels(joints: Float[np.ndarray, "*M 3"]) -> Float64[np.ndarray, "*M 2"]:
    """Where camera coordinates lie in the depth picture, x to the right and y down, in pixels."""
    return np.asarray(CENTRE_PX) + FOCAL_PX * joints[..., :2] * (1.0, -1.0) / joints[..., 2:]


def _states(recording: Recording) -> Float64[np.ndarray, "M T V"]:
    return np.where(recording.inferred, INFERRED, TRACKED).astype(np.float64)


def _lean(joints: Float[np.ndarray, "M T V 3"]) -> Float64[np.ndarray, "M T 2"]:
    """The trunk's lean to the right and towards the sensor, tangents within -1 and 1."""
    trunk = joints[:, :, JOINTS.index("spine_shoulder")] - joints[:, :, JOINTS.index("spine_base")]
    tangents = trunk[..., [0, 2]] * (1.0, -1.0) / np.maximum(np.abs(trunk[..., [1]]), 0.1)
    return np.clip(tangents, -1.0, 1.0)
