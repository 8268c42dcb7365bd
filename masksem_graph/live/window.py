"""The last seconds of a stream, on an even clock."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.tracks import Key, Tracks
from masksem_graph.errors import InputError

NEAR = 1e-3
"""A frame this close to a tick, in ticks, is the tick's."""
DENSEST = 4
"""Frames for each tick that are kept; of a faster sender the latest ones."""


@dataclass(frozen=True)
class Frame:
    """What was seen at a time in seconds: joints by body, NaN where one was not seen."""

    time: float
    bodies: Mapping[Key, Float32[np.ndarray, "V 3"]]


class Window:
    """A ring of the latest frames, at most `DENSEST` a tick, read as a clip with a frame a tick.

    Ticks count from the stream's first frame. Between two frames a joint goes in a straight line. Where only one of them has
    it, the nearer one counts. Where they are further apart than ``gap``, a frame counts for half of that around it.

    Args:
        fps: ticks a second.
        ticks: frames of a clip.
        gap: seconds between two frames that are still joined.
        dimensions: how many channels of a joint are coordinates.
    """

    def __init__(self, *, fps: float, ticks: int, gap: float, dimensions: int) -> None:
        self.fps, self.ticks, self.gap, self.dimensions = fps, ticks, gap, dimensions
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.frames: deque[Frame] = deque()
        self.tracks = Tracks()
        self.began = math.nan

    @property
    def last(self) -> int:
        """The latest tick that is over; -1 before the first frame."""
        return math.floor((self.frames[-1].time - self.began) * self.fps + NEAR) if self.frames else -1

    def time(self, tick: int) -> float:
        """When a tick is, seconds."""
        return self.began + tick / self.fps

    def check_time(self, time: float) -> bool:
        """Whether the stream begins anew: nothing is there yet, or the clock jumped by more than the window.

        Raises:
            InputError: no finite number, or not later than the frame before.
        """
        if not math.isfinite(time):
            raise InputError(f"t: expected seconds, found {time}")
        if not self.frames or abs(time - (before := self.frames[-1].time)) > self.ticks / self.fps:
            return True
        if time <= before:
            raise InputError(f"t: expected more than {before:g}, the time of the frame before, found {time:g}")
        return False

    def add(self, frame: Frame) -> None:
        """Take a frame in, of a time that `check_time` allows, and forget what no later window can need."""
        if not self.frames:
            self.began = frame.time
        elif len(self.frames) > 1 and (frame.time - self.frames[-2].time) * self.fps * DENSEST < 1:
            self.frames.pop()
        self.frames.append(frame)
        start = self.time(self.last - self.ticks + 1) - NEAR / self.fps
        while len(self.frames) > 1 and self.frames[1].time <= start:
            self.frames.popleft()
        self.tracks.forget(self.frames[0].time)

    def clip(self, bodies: int) -> tuple[Clip, list[Key]]:
        """The clip that ends at the latest tick, and the names of its bodies.

        Args:
            bodies: at most so many, those that are seen longest. The one that appeared first comes first.
        """
        keys = [key for key in self.tracks.known if any(key in frame.bodies for frame in self.frames)]
        values = [self._resampled(key) for key in keys]
        # In how many frames each body has a joint.
        seen = [int((~np.isnan(one[..., : self.dimensions]).any(-1)).any(-1).sum()) for one in values]
        longest = sorted(range(len(keys)), key=lambda i: -seen[i])[:bodies]
        chosen = [i for i in sorted(longest) if seen[i]]
        parts = tuple(Body(0, values[i], np.ones(self.ticks, bool)) for i in chosen)
        return Clip(name="window", label=-1, bodies=parts), [keys[i] for i in chosen]

    def _resampled(self, key: Key) -> Float32[np.ndarray, "T V 3"]:
        times = np.array([frame.time for frame in self.frames])
        shape = next(frame.bodies[key] for frame in self.frames if key in frame.bodies).shape
        nowhere = np.zeros(shape, np.float32)
        nowhere[:, : self.dimensions] = np.nan
        data = np.stack([frame.bodies.get(key, nowhere) for frame in self.frames])

        at = self.began + np.arange(self.last - self.ticks + 1, self.last + 1) / self.fps
        after = np.searchsorted(times, at - NEAR / self.fps).clip(max=len(times) - 1)
        before = np.where(np.abs(times[after] - at) * self.fps <= NEAR, after, np.maximum(after - 1, 0))
        span = times[after] - times[before]
        weight = np.where(span > 0, (at - times[before]) / np.where(span > 0, span, 1), 0.0)
        nearer = np.where(weight < 0.5, before, after)
        out = data[nearer]
        joined = (span > 0) & (span <= self.gap)
        line = data[before] + weight.astype(np.float32)[:, None, None] * (data[after] - data[before])
        out = np.where(joined[:, None, None] & ~np.isnan(line).any(-1, keepdims=True), line, out)
        out[np.abs(times[nearer] - at) > self.gap / 2 + NEAR / self.fps] = nowhere
        return out
