"""What somebody does now, from the frames of a tracker."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float32

from masksem_graph.data.clip import Clip
from masksem_graph.data.missing import Missing
from masksem_graph.data.preparation import prepared_clip
from masksem_graph.data.store import Store, store_of
from masksem_graph.errors import InputError, require_range
from masksem_graph.evaluation.classifier import load_classifier
from masksem_graph.live.person import Person, seen_joints
from masksem_graph.live.saliency import Salient
from masksem_graph.live.window import Frame, Window

PRESENT = 0.5
"""A window in which nobody is seen for this share of it has no answer."""


@dataclass(frozen=True)
class Answer:
    """What is seen in a window.

    Args:
        time: of the window's last frame, on the sender's clock.
        classes: names by label.
        label, reason: the likeliest class, or why there is no answer.
        probabilities: of each class, smoothed; None where the window could not be classified at all.
        bodies: the names of the window's bodies, the sender's or numbers from 1.
        saliency: of each body's joints, the largest 1; None unless asked for.
    """

    time: float
    classes: tuple[str, ...]
    label: str | None = None
    reason: str | None = None
    probabilities: Float32[np.ndarray, " classes"] | None = None
    bodies: tuple[str | int, ...] = ()
    saliency: Float32[np.ndarray, "bodies V"] | None = None

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The likeliest classes and their probabilities."""
        if self.probabilities is None:
            return []
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.classes[i], float(self.probabilities[i])) for i in order]


class Recogniser:
    """Names the action in the last seconds of a stream, whenever a stride is full.

    A window has the same answer as a file with its frames has from ``predict``. No answer depends on a later frame.

    Args:
        run: the folder of an evaluation that trained a head; or what has ``classes``, ``prepared`` and ``probabilities`` as a
            `masksem_graph.evaluation.classifier.Classifier` has them.
        fps: frames a second of the clips that it was trained on. Uneven frames are resampled to it.
        window: seconds that are looked at.
        stride: seconds from one answer to the next.
        bodies: at most so many are looked at.
        missing: what is done about joints that are not seen, as of ``prepare``.
        missing_frames: for how many frames of the window on end a joint may be missing; longer, and there is no answer.
        min_score: a joint with this score or less is not seen.
        gap: seconds without a frame after which a body counts as absent.
        smoothing: the weight of the answers before in each answer, from 0 to below 1.
        reject: no class is named whose probability is below this.

    Attributes:
        topology: the joints that are expected, `Topology.inputs`.
        units: of their coordinates.
        saliency: whether answers carry saliency; set it at any time. `why_no_saliency` says where there is none.
        counts: ``frames``; ``windows``, those of them ``unanswered``, ``rejected``, or with joints ``filled`` in; and windows
            that were ``skipped``, because newer frames were there before anybody asked.

    Raises:
        InputError: the run cannot classify, or an option is out of its range.
    """

    def __init__(
        self,
        run: Any,
        *,
        fps: float = 30.0,
        window: float = 2.0,
        stride: float = 0.1,
        bodies: int = 2,
        missing: Missing = "hold",
        missing_frames: int = 15,
        min_score: float = 0.0,
        gap: float = 0.5,
        smoothing: float = 0.0,
        reject: float = 0.0,
    ) -> None:
        for name, value in {"fps": fps, "window": window, "stride": stride, "gap": gap, "bodies": bodies}.items():
            if not 0 < value < 1e4:
                raise InputError(f"{name}: expected more than 0 and less than 10,000, found {value}")
        if not (0 <= smoothing < 1 and 0 <= reject <= 1):
            raise InputError(f"smoothing, reject: expected shares from 0 to 1, found {smoothing} and {reject}")
        require_range("missing_frames", missing_frames, 0, 10**6)
        path = Path(run) if isinstance(run, str | os.PathLike) else None
        self.classifier = load_classifier(path) if path else run
        prepared = self.classifier.prepared
        self.topology, self.units = prepared.topology, prepared.units or prepared.topology.units
        self._prepared = partial(
            prepared_clip,
            topology=self.topology,
            origin=prepared.origin,
            units=self.units,
            zeros=True,
            missing=missing,
            missing_frames=missing_frames,
        )
        self.window = Window(fps=fps, ticks=max(round(window * fps), 1), gap=gap, dimensions=self.topology.dimensions)
        self.stride, self.bodies, self.min_score = max(round(stride * fps), 1), bodies, min_score
        self.smoothing, self.reject, self.saliency = smoothing, reject, False
        self.salient, self.why_no_saliency = Salient.of(self.classifier, path)
        self.counts: Counter[str] = Counter()
        self.restart()

    def restart(self) -> None:
        """Forget the stream; the next frame begins another."""
        self.window.clear()
        self._due = self.window.ticks - 1
        self._smooth: Float32[np.ndarray, " classes"] | None = None

    def push(self, time: float, bodies: Sequence[Person | npt.ArrayLike]) -> Answer | None:
        """Take a frame in; gives the answer of the window that ends here, whenever a stride is full.

        Args:
            time: in seconds, later than the frame before. A jump by more than the window, either way, begins a new stream.
            bodies: those that are seen; joints [V, 3] alone where the tracker gives no more.

        Raises:
            InputError: the frame cannot be used, and is left out.
        """
        return self.answer() if self.add(time, bodies) else None

    def add(self, time: float, bodies: Sequence[Person | npt.ArrayLike]) -> bool:
        """Take a frame in as `push` does; gives whether an answer is `due`, without answering."""
        people = [one if isinstance(one, Person) else Person(one) for one in bodies]
        joints = [seen_joints(one, self.topology, units=self.units, min_score=self.min_score) for one in people]
        d = self.topology.dimensions
        seen = [(one.id, body) for one, body in zip(people, joints, strict=True) if np.nan_to_num(body[:, :d]).any()]
        if self.window.check_time(time):
            self.restart()
        found = [body for _, body in seen]
        keys = self.window.tracks.name(time, [name for name, _ in seen], found, d)
        self.window.add(Frame(time, dict(zip(keys, found, strict=True))))
        self.counts["frames"] += 1
        return self.due

    @property
    def due(self) -> bool:
        """Whether a stride is full."""
        return self.window.last >= self._due

    def answer(self) -> Answer:
        """The answer of the window that ends at the latest tick."""
        tick = self.window.last
        self.counts["skipped"] += max(tick - self._due, 0) // self.stride
        self._due = tick + self.stride
        self.counts["windows"] += 1
        clip, keys = self.window.clip(self.bodies)
        about: dict[str, Any] = {"time": self.window.time(tick), "classes": self.classifier.classes}
        try:
            store, names = self._store(clip), tuple(name for _, name in keys)
            if self.saliency and self.salient:
                probabilities, shares = self.salient(store)
            else:
                probabilities, shares = self.classifier.probabilities(store)[0].numpy(), None
        except InputError as error:
            self._smooth = None
            self.counts["unanswered"] += 1
            return Answer(**about, reason=str(error))
        if self._smooth is not None:
            probabilities = self.smoothing * self._smooth + (1 - self.smoothing) * probabilities
        self._smooth = probabilities
        best = int(probabilities.argmax())
        about |= {"probabilities": probabilities, "bodies": names, "saliency": shares}
        if probabilities[best] < self.reject:
            self.counts["rejected"] += 1
            return Answer(**about, reason=f"the likeliest class has {probabilities[best]:.2f}, below {self.reject:g}")
        return Answer(**about, label=self.classifier.classes[best])

    def _store(self, clip: Clip) -> Store:
        if not clip.bodies:
            raise InputError("nobody is seen")
        clip, filled = self._prepared(clip)
        longest = max(int(body.present.sum()) for body in clip.bodies)
        if longest < PRESENT * self.window.ticks:
            raise InputError(f"somebody is seen in {longest} of {self.window.ticks} frames, expected half of them")
        self.counts["filled"] += bool(filled)
        return store_of([clip], self.topology, origin=self.classifier.prepared.origin)
