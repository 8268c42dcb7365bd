"""The answer of a window is that of a file with its frames, and knows nothing of later frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from masksem_graph.cli.predict import predict
from masksem_graph.data.missing import Missing
from masksem_graph.data.store import Store
from masksem_graph.errors import InputError
from masksem_graph.evaluation.prepared import Prepared
from masksem_graph.live.person import Person
from masksem_graph.live.recogniser import Answer, Recogniser
from masksem_graph.topology import load_topology
from tests.live.conftest import CLASSES, MakeRun, walk

NOW = 1.7e9
"""Seconds, as a clock on the wall has them."""


def streamed(one: Recogniser, bodies: list[np.ndarray], begin: float = NOW, fps: float = 30) -> list[Answer]:
    """The answers to bodies [F, V, C] pushed frame by frame."""
    frames = zip(*bodies, strict=True)
    found = [
        one.push(begin + i / fps, [body for body in people if not np.isnan(body).all()]) for i, people in enumerate(frames)
    ]
    return [answer for answer in found if answer]


def of_file(clip: Path, run: Path, **options: object) -> dict[str, float]:
    """What ``predict`` says."""
    rows, failed = predict([clip], run, format=None, options=options, top=99, accelerator="cpu")
    assert not failed
    return {guess["class"]: guess["probability"] for guess in rows[0]["top"]}


def of_array(frames: np.ndarray, run: Path, **options: object) -> dict[str, float]:
    np.save(run / "clip.npy", frames)
    return of_file(run / "clip.npy", run, **options)


def same(answer: Answer, expected: dict[str, float]) -> bool:
    return dict(answer.top(99)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"view": "body"},
        {"view": "yaw", "view_of": "mean", "origin": "none"},
        {"stream": "motion", "view": "body", "absent_frames": "zero"},
    ],
    ids=str,
)
def test_as_predict_of_the_same_frames(make_run: MakeRun, spec: dict) -> None:
    run, frames = make_run(**spec), walk(75)
    answers = streamed(Recogniser(run, window=1.5, stride=0.5), [frames])
    assert [answer.time - NOW for answer in answers] == pytest.approx([44 / 30, 59 / 30, 74 / 30], abs=1e-6)
    for end, answer in zip((45, 60, 75), answers, strict=True):
        assert same(answer, of_array(frames[end - 45 : end], run))
        assert answer.label == answer.top(1)[0][0] and answer.bodies == (1,)
    assert answers[0].top() != answers[1].top()


def test_two_bodies_of_which_one_leaves_and_comes_back(make_run: MakeRun) -> None:
    run, bodies = make_run(view="body"), np.stack([walk(45), walk(45, 1, at=(2, 0, 3))])
    bodies[0, 20:33] = np.nan
    (answer,) = streamed(Recogniser(run, window=1.5, stride=1), list(bodies))
    assert answer.bodies == (1, 2)
    assert same(answer, of_array(np.nan_to_num(bodies), run))


@pytest.mark.parametrize("missing", ["hold", "interpolate"])
def test_joints_that_are_not_seen(make_run: MakeRun, missing: Missing) -> None:
    run, frames = make_run(), walk(45)
    frames[7:12, 3] = np.nan
    frames[30:45, 8:10] = np.nan
    one = Recogniser(run, window=1.5, missing=missing)
    (answer,) = streamed(one, [frames])
    assert same(answer, of_array(frames, run, missing=missing)) and one.counts["filled"] == 1

    (answer,) = streamed(Recogniser(run, window=1.5, missing=missing, missing_frames=14), [frames])
    assert answer.label is None and answer.probabilities is None
    assert answer.reason.startswith(
        "right_shoulder was not found in 15 or more frames from frame 30 on, expected at most 14 on"
    )


def test_scores_say_what_is_seen(make_run: MakeRun) -> None:
    run, frames = make_run(), walk(45)
    score = np.ones(20)
    score[3] = 0.2
    by_score, by_nan = (Recogniser(run, window=1.5, min_score=least, missing_frames=45) for least in (0.2, 0.1))
    for i, body in enumerate(frames):
        lost = body.copy()
        lost[3] = np.nan
        answers = by_score.push(i / 30, [Person(body, score)]), by_nan.push(i / 30, [lost])
    assert answers[0].top() == answers[1].top() and by_score.counts["filled"] == 1
    frames[:, 3] = frames[:, 2]  # never seen: it goes with the nearest joint that is
    assert same(answers[0], of_array(frames, run))


def test_points_of_an_image(make_run: MakeRun) -> None:
    run = make_run("coco17", "pyskl", origin="none")
    frames = walk(45, skeleton="coco17") * 100 + 300
    frames[..., 2] = 0.9
    frames[5:9, 4, 2] = 0
    (answer,) = streamed(Recogniser(run, window=1.5), [frames])
    assert same(answer, of_array(frames, run, missing="hold"))
    apart = Recogniser(run, window=1.5)
    found = [apart.push(i / 30, [Person(body[:, :2], body[:, 2])]) for i, body in enumerate(frames)]
    assert found[-1].top() == answer.top()


def test_no_answer_looks_ahead(make_run: MakeRun) -> None:
    run, random = make_run(view="body", view_of="mean"), np.random.default_rng(3)
    times = NOW + np.cumsum(random.uniform(0.01, 0.06, 120))
    past, futures = [walk(120), walk(120, 1, at=(2, 0, 3))], [walk(120, 5), walk(120, 6)]
    told = []
    for future in (past, futures):
        one, found = Recogniser(run, window=1, smoothing=0.5), []
        for i, time in enumerate(times):
            answer = one.push(time, [body[i] for body in (past if i < 80 else future)][: 1 + (i > 30)])
            found += [answer] if answer else []
        told.append([(answer.time, *answer.top(), answer.bodies) for answer in found])
    early = [i for i, answer in enumerate(told[0]) if answer[0] <= times[79]]
    assert len(early) > 10 and told[0][: len(early)] == told[1][: len(early)] and told[0] != told[1]


def test_smoothing_and_rejection(make_run: MakeRun) -> None:
    run, frames = make_run(), walk(60)
    plain = [answer.probabilities for answer in streamed(Recogniser(run, window=1), [frames])]
    one = Recogniser(run, window=1, smoothing=0.75, reject=1)
    smooth = streamed(one, [frames])
    expected = plain[0]
    for answer, probabilities in zip(smooth, plain, strict=True):
        expected = expected if probabilities is plain[0] else 0.75 * expected + 0.25 * probabilities
        np.testing.assert_allclose(answer.probabilities, expected, atol=1e-6)
        assert answer.label is None and "below 1" in answer.reason and len(answer.top()) == 3
    assert one.counts["rejected"] == one.counts["windows"] == len(plain) == 11
    assert abs(plain[-1] - smooth[-1].probabilities).max() > 1e-4


def test_nobody(make_run: MakeRun) -> None:
    run, frames = make_run(), walk(45)
    frames[:] = np.nan
    (answer,) = streamed(Recogniser(run, window=1.5), [frames])
    assert (answer.label, answer.reason, answer.top()) == (None, "nobody is seen", [])
    frames[:22] = walk(22)
    (answer,) = streamed(Recogniser(run, window=1.5), [frames])
    assert answer.reason == "somebody is seen in 22 of 45 frames, expected half of them"
    frames[22] = frames[21]
    (answer,) = streamed(Recogniser(run, window=1.5), [frames])
    assert same(answer, of_array(frames[:23], run))


def test_a_clock_that_jumps_begins_anew(make_run: MakeRun) -> None:
    run, frames = make_run(), walk(90)
    one = Recogniser(run, window=1, stride=1)
    first = streamed(one, [frames[:45]])
    again = streamed(one, [frames[45:]], begin=7.0)
    assert len(first) == len(again) == 1 and again[0].time == pytest.approx(7 + 29 / 30)
    assert again[0].top() == streamed(Recogniser(run, window=1), [frames[45:75]])[0].top()
    with pytest.raises(InputError, match=r"t: expected more than 8\.46667, .* found 8\.4"):
        one.push(8.4, [frames[0]])
    assert one.counts["frames"] == 90


@pytest.mark.parametrize(
    ("bodies", "message"),
    [
        ([np.zeros((19, 3))], r"joints: expected \[20, 3\], found \[19, 3\]"),
        ([np.zeros((20, 2))], r"joints: expected \[20, 3\], found \[20, 2\]"),
        ([np.full((20, 3), np.inf)], "joints: found inf, expected finite"),
        ([np.full((20, 3), 900.0)], "found a coordinate of 900 in metres, expected at most 50"),
        ([np.full((20, 3), 1e300)], r"joints: found 1e\+300, expected finite"),
        ([Person(np.ones((20, 3)), np.ones(3))], r"scores: expected 20, one a joint, found \[3\]"),
        ([Person(np.ones((20, 3)), id=1), Person(np.ones((20, 3)), id=1)], "id: found 1 twice"),
    ],
)
def test_a_bad_frame_is_refused_and_left_out(make_run: MakeRun, bodies: list, message: str) -> None:
    one = Recogniser(make_run())
    one.push(0.0, [walk(1)[0]])
    with pytest.raises(InputError, match=message):
        one.push(0.1, bodies)
    with pytest.raises(InputError, match="t: expected seconds, found nan"):
        one.push(float("nan"), [])
    assert one.counts["frames"] == len(one.window.frames) == 1


def test_options_out_of_range(make_run: MakeRun) -> None:
    run = make_run()
    wrong = {"fps": 0, "window": -1, "stride": float("nan"), "bodies": 0, "smoothing": 1, "reject": 1.5, "missing_frames": -1}
    for name, value in wrong.items():
        with pytest.raises(InputError, match=name):
            Recogniser(run, **{name: value})
    with pytest.raises(InputError, match="no such folder"):
        Recogniser(run / "none")


def test_anything_that_answers_like_a_run() -> None:
    class Standing:
        classes = ("low", "high")
        prepared = Prepared(topology=load_topology("kinect20"), origin="none")

        def probabilities(self, store: Store) -> torch.Tensor:
            high = torch.tensor([[float(store.frames[..., 1].mean() > 0)]])
            return torch.cat([1 - high, high], 1)

    one = Recogniser(Standing(), window=1)
    assert one.salient is None and one.why_no_saliency
    assert [answer.label for answer in streamed(one, [walk(30, at=(0, 9, 0))])] == ["high"]


def test_real_clips_of_one_and_two_persons(make_run: MakeRun, shared: Path) -> None:
    from masksem_graph.data.readers.nw_ucla import NWUCLAReader
    from masksem_graph.data.readers.sbu import SBUReader

    found = []
    for skeleton, reader, path in [
        ("kinect20", NWUCLAReader(), shared / "nw-ucla/all_sqe/a04_s01_e00_v03.json"),
        ("sbu15", SBUReader(), shared / "sbu/s01s02/06/001/skeleton_pos.txt"),
    ]:
        run = make_run(skeleton, "sbu") if skeleton == "sbu15" else make_run(view="body")
        bodies = [body.frames for body in reader.read(path).bodies]
        (answer,) = streamed(Recogniser(run, window=len(bodies[0]) / 30, missing="skip"), bodies)
        assert same(answer, of_file(path, run))
        found.append(answer.bodies)
    assert found == [(1,), (1, 2)] and CLASSES
