"""``encoder.encode``: raw arrays in, the very features that evaluations compute from a store of the same clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.loader import DataLoader

import masksem_graph.models.encode as encode
from masksem_graph.backbones import Transformer
from masksem_graph.data.cleaning import centred, present_only
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.dataset import SkeletonDataset
from masksem_graph.data.input_spec import InputSpec
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.store import StoreWriter, open_store, store_of
from masksem_graph.data.views import CropConfig
from masksem_graph.encodings import Learned
from masksem_graph.errors import InputError
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.encode import loader_for
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.protocols import Evaluation
from masksem_graph.topology import Topology, load_topology

TINY, LIMBS, NTU = (load_topology(name) for name in ("tiny5", "tiny5_limbs", "ntu25"))
LENGTHS = [1, 2, 3, 7, 8, 9, 40, 301]
AS_THEY_ARE = InputSpec(origin="none", absent_frames="zero")


def encoder(topology: Topology = TINY, *, frames: int = 8, **options: Any) -> SkeletonEncoder:
    blocks = partial(Transformer, depth=1, heads=2)
    model = ModelConfig(
        frames=frames,
        segment=2,
        width=16,
        encodings=[partial(Learned, over="segments"), partial(Learned, over="joints")],
        backbone=blocks,
        decoder=blocks,
        pool=options.pop("pool", "present"),
        crop=CropConfig(test_share=options.pop("test_share", 0.95)),
    )
    return SkeletonEncoder(model, topologies=[topology], channels=3, **options).eval()


def clips(joints: int = 5) -> list[np.ndarray]:
    """Somebody who moves, metres away from the origin, for ever longer; the longer ones are out of sight now and then."""
    random = np.random.default_rng(1)
    out = []
    for length in LENGTHS:
        frames = random.normal(size=(length, joints, 3)).cumsum(0) * 0.1 + [3.0, -1.0, 4.0]
        frames[3:5], frames[20:23] = 0, 0
        out.append(frames.astype(np.float32))
    return out


def from_a_store(one: SkeletonEncoder, raw: Sequence[np.ndarray], data: Topology, folder: Path) -> Tensor:
    """The features of an evaluation: clips prepared as data sets are, written, opened, and read by the loader."""
    seen = one.input_spec
    with StoreWriter(folder / "store", topology=data, classes=("a",), origin=seen.origin) as writer:
        for i, frames in enumerate(raw):
            clip = present_only(Clip(name=str(i), label=0, bodies=(Body(0, frames, np.ones(len(frames), bool)),)))
            if seen.origin == "centre":
                clip = centred(clip, joint=data.index[data.centre], dimensions=data.dimensions)
            writer.add(clip)
    source = SkeletonLoader(
        open_store(folder / "store"),
        frames=one.frames,
        segment=one.segment,
        topology=one.topology,
        absent_frames=seen.absent_frames,
        stream=seen.stream,
        view=seen.view,
        view_of=seen.view_of,
    )
    everything = torch.arange(len(raw))
    return Evaluation(one, source, everything, everything, ("a",), one.crop).encode_test(everything)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"test_share": 0.5},
        {"pool": "all_slots"},
        {"input_spec": AS_THEY_ARE},
        {"input_spec": InputSpec(stream="bone")},
        {"input_spec": InputSpec(stream="motion", absent_frames="zero")},
        {"input_spec": InputSpec(view="yaw", view_of="mean")},
        {"input_spec": InputSpec(view="body", absent_frames="zero")},
        {"topology": LIMBS, "recorded": [TINY]},
    ],
    ids=["usual", "half", "all_slots", "as_they_are", "bone", "motion", "yaw", "body", "limbs"],
)
def test_the_path_of_evaluations(tmp_path: Path, options: dict[str, Any]) -> None:
    one = encoder(**options)
    expected = from_a_store(one, clips(), TINY, tmp_path)
    found = one.encode(clips())
    assert found.shape == (len(LENGTHS), 16) and not found.requires_grad
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    assert (found[1:] - found[:-1]).abs().max() > 1e-2, "clips that differ have features that differ"


def test_a_prepared_clip_of_its_length_is_only_centred() -> None:
    one, frames = encoder(test_share=1.0), np.random.default_rng(0).normal(size=(8, 5, 3)).astype(np.float32)
    prepared = torch.from_numpy(frames - frames[0, TINY.index[TINY.centre]])
    torch.testing.assert_close(one.encode(frames), one.features(prepared[None])[0].mean(0), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("metres", [[1.0, 0.0, 0.0], [-7.0, 3.0, 40.0]])
def test_where_somebody_stands_does_not_matter(metres: list[float]) -> None:
    one = encoder()
    moved = [np.where(frames.any((1, 2), keepdims=True), frames + np.float32(metres), 0) for frames in clips()]
    torch.testing.assert_close(one.encode(moved), one.encode(clips()), atol=1e-4, rtol=1e-4)
    as_they_are = encoder(input_spec=AS_THEY_ARE)
    assert not torch.allclose(as_they_are.encode(moved), as_they_are.encode(clips()), atol=1e-2)


@pytest.mark.parametrize("view", ["recorded", "yaw", "body"])
def test_where_the_camera_stood_matters_where_the_clip_is_kept_as_recorded(view: str) -> None:
    one, angle = encoder(input_spec=InputSpec(view=view)), 1.1
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    turned = [frames @ turn.T for frames in clips()]
    assert torch.allclose(one.encode(turned), one.encode(clips()), atol=1e-4, rtol=1e-4) == (view != "recorded")


FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "tensor": torch.from_numpy,
    "float64": lambda frames: frames.astype(np.float64),
    "gradient": lambda frames: torch.from_numpy(frames).requires_grad_(),
    "reversed memory": lambda frames: np.ascontiguousarray(frames[::-1])[::-1],
    "read only": lambda frames: np.frombuffer(frames.tobytes(), np.float32).reshape(frames.shape),
}


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_any_kind(form: str) -> None:
    one, raw = encoder(), clips()
    whole = one.encode(raw)
    assert torch.equal(one.encode([FORMS[form](frames) for frames in raw]), whole)
    single = one.encode(FORMS[form](raw[4]))
    assert single.shape == (16,)
    torch.testing.assert_close(single, whole[4], atol=1e-6, rtol=1e-6)


def test_what_a_half_float_and_an_integer_say_is_taken_as_it_is() -> None:
    one, raw = encoder(), torch.from_numpy(clips()[4])
    half = raw.bfloat16()
    assert torch.equal(one.encode(half), one.encode(half.float()))
    whole = (10 * raw).round()
    assert torch.equal(one.encode(whole.long()), one.encode(whole)) and torch.equal(
        one.encode(whole.long().numpy()), one.encode(whole)
    )


def test_the_clips_are_left_alone() -> None:
    raw = clips()
    before = [frames.copy() for frames in raw]
    encoder().encode(raw)
    assert all(np.array_equal(one, other) for one, other in zip(raw, before, strict=True))


def test_a_portion_at_a_time_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    one = encoder()
    whole = one.encode(clips())
    monkeypatch.setattr(encode, "PORTION", 3)
    torch.testing.assert_close(one.encode(clips()), whole, atol=1e-6, rtol=1e-6)


def test_no_dropout_whatever_the_mode_and_the_mode_stays() -> None:
    blocks = partial(Transformer, depth=1, heads=2, dropout=0.5, drop_path=0.5)
    model = ModelConfig(frames=8, segment=2, width=16, encodings=[], backbone=blocks, decoder=blocks)
    one = SkeletonEncoder(model, topologies=[TINY], channels=3).train()
    one.embedding.eval()
    modes, state = [module.training for module in one.modules()], torch.get_rng_state()
    found = one.encode(clips())
    assert [module.training for module in one.modules()] == modes and torch.equal(torch.get_rng_state(), state)
    assert torch.equal(found, one.eval().encode(clips()))


def test_no_clip_gives_no_vector() -> None:
    assert encoder().encode([]).shape == (0, 16)


def changed(at: tuple[int, ...], value: float) -> np.ndarray:
    frames = clips()[5].astype(np.float64)
    frames[at] = value
    return frames


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            np.zeros((9, 4, 3)),
            r"expected frames \[F, V, C\] = \[F, 5, 3\] of one body, found \[9, 4, 3\]; several clips are a",
        ),
        (np.ones((9, 5, 2)), r"expected frames .*, found \[9, 5, 2\]"),
        (np.ones((5, 3)), r"expected frames .*, found \[5, 3\]"),
        (torch.ones(2, 9, 5, 3), r"expected frames .*, found \[2, 9, 5, 3\]; several clips are a list"),
        (np.ones((0, 5, 3)), r"expected frames .*, found \[0, 5, 3\]"),
        (changed((0, 0, 0), float("nan")), "expected finite numbers, found NaN or infinity"),
        (changed((8, 4, 2), float("-inf")), "expected finite numbers, found NaN or infinity"),
        (changed((8, 4, 2), 1e300), "expected finite numbers, found NaN or infinity"),
        (
            1000 * np.random.default_rng(0).normal(size=(9, 5, 3)),
            r"found a coordinate of .* in metres, .*: they look like milli",
        ),
        (np.zeros((9, 5, 3)), "no frame with a body, expected at least one"),
    ],
)
def test_what_is_no_clip_is_refused_in_one_line(wrong: Any, message: str) -> None:
    one = encoder()
    with pytest.raises(InputError, match=f"^clip 0: {message}") as error:
        one.encode(wrong)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=f"^clip 2: {message}"):
        one.encode([*clips()[:2], wrong])


def test_joints_are_those_that_were_recorded() -> None:
    """An encoder on some of the joints takes clips with all of them."""
    one = encoder(LIMBS, recorded=[TINY])
    assert one.encode(np.ones((4, 5, 3))).shape == (16,)
    with pytest.raises(InputError, match=r"\[F, 25, 3\] of one body, found \[4, 18, 3\]"):
        encoder(load_topology("ntu25_limbs"), recorded=[NTU]).encode(np.ones((4, 18, 3)))
    by_hand = encoder(load_topology("ntu25_limbs"))
    assert by_hand.encode(np.random.default_rng(0).normal(size=(4, 25, 3))).shape == (16,)


def test_several_persons_are_one_clip() -> None:
    """Each as it would be alone, where nothing is moved; the first one's origin is both's."""
    both = np.stack([clips()[2], clips()[2][::-1]])
    plain = encoder(input_spec=AS_THEY_ARE)
    apart = torch.stack([plain.encode(one) for one in both])
    torch.testing.assert_close(plain.encode(both, persons=True), apart.mean(0))
    torch.testing.assert_close(plain.encode([both, both[:1]], persons=True), torch.stack([apart.mean(0), apart[0]]))
    centring = encoder()
    alone, together = centring.encode(both[0]), centring.encode(both, persons=True)
    torch.testing.assert_close(centring.encode(both + np.float32(1), persons=True), together, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(alone, together)
    with pytest.raises(InputError, match=r"expected frames \[M, F, V, C\] = \[M, F, 5, 3\] of M persons, found \[3, 5, 3\]"):
        centring.encode(both[0], persons=True)


def test_a_path_is_no_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as outside the tests
    with pytest.raises(InputError, match=r"^clips: expected arrays of numbers, found the path clip\.npy; numpy\.load reads"):
        encoder().encode("clip.npy")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^clip 0: expected frames .*, found 'clip\.npy'"):
        encoder().encode(["clip.npy"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"clips: found view recorded, expected body, as the encoder's own; SkeletonDataset\.like\(encoder\)"),
        ({"view": "body", "view_of": "mean"}, "found view_of mean, expected first"),
        ({"view": "body", "stream": "bone"}, "found stream bone, expected joint"),
        ({"view": "body", "frames": 16}, "found 8 segments, expected 4"),
        ({"view": "body", "frames": 16, "segment": 4}, "found 12 numbers a node, expected 6"),
    ],
)
def test_an_encoder_refuses_items_that_are_prepared_otherwise(options: dict[str, Any], message: str) -> None:
    raw = [Clip(name="a", label=0, bodies=(Body(0, clips(25)[5], np.ones(9, bool)),))]
    store, spec = store_of(raw, NTU), InputSpec(origin="none", view="body", units="metres")
    one = encoder(NTU, input_spec=spec)
    data = SkeletonDataset(store, **{"frames": 8, "segment": 2, **options})
    for batch in (data[0], next(iter(DataLoader(data)))):
        with pytest.raises(InputError, match=message):
            one(batch)
    alike = data.like(one)
    assert torch.equal(one(alike[0]), one(next(iter(DataLoader(alike)))))
    one.train()(SkeletonDataset(store, frames=8, segment=2)[0])  # a step of training compares nothing


def test_units_are_those_of_the_clips_that_were_trained_on() -> None:
    """Halves of the image are no pixels, whatever the topology says; a run that does not say takes its topology's."""
    coco = load_topology("coco17")
    frames = np.random.default_rng(0).uniform(-1, 1, (9, 17, 3)).astype(np.float32)
    raw = [Clip(name="a", label=0, bodies=(Body(0, frames, np.ones(9, bool)),))]
    image, pixels = (store_of(raw, coco, units=units) for units in ("image", None))
    for own, fits, other in (("image", image, pixels), ("pixels", pixels, image)):
        one = encoder(coco, input_spec=InputSpec(origin="none", units=own))
        loader_for(one, fits)
        with pytest.raises(InputError, match=f"found coordinates in {other.units}, expected {own}, as the encoder's"):
            loader_for(one, other)
        assert one.encode(frames).shape == (16,)
    loader_for(encoder(coco, input_spec=InputSpec(origin="none")), pixels)
