"""One module on raw clips: the very numbers of the path through a store and the loader."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from masksem_graph.backbones import Transformer
from masksem_graph.data.cleaning import centred, present_only
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.input_spec import InputSpec
from masksem_graph.data.store import Store, store_of
from masksem_graph.data.views import CropConfig, central_view
from masksem_graph.encodings import Learned
from masksem_graph.exporting.classifier import as_array
from masksem_graph.exporting.network import FromRaw
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.encode import encode_store, loader_for
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.heads import Head, LinearHead, MLPHead
from masksem_graph.tasks.classify import Classify
from masksem_graph.topology import Topology, load_topology

NTU, LIMBS = load_topology("ntu25"), load_topology("ntu25_limbs")


def encoder(spec: InputSpec, topology: Topology = NTU, **options: Any) -> SkeletonEncoder:
    blocks = partial(Transformer, depth=1, heads=2)
    model = ModelConfig(
        frames=8,
        segment=4,
        width=8,
        encodings=[partial(Learned, over="segments"), partial(Learned, over="joints")],
        backbone=blocks,
        decoder=blocks,
        crop=CropConfig(test_share=0.7),
        **options,
    )
    return SkeletonEncoder(model, topologies=[topology], recorded=[NTU], channels=3, input_spec=spec).eval()


def recordings() -> list[Clip]:
    """One or two bodies that begin late, leave, are missing in between, or are there for a moment outside of the crop only."""
    random, clips = np.random.default_rng(1), []
    for i, length in enumerate((1, 2, 3, 7, 8, 9, 20, 40, 41, 42, 43)):
        bodies = []
        for start, end in ((i % 3 if length > 8 else 0, length), (length // 2, length), (0, 2))[: 1 + i % 3]:
            frames = random.normal(0, 0.3, (end - start, 25, 3)) + np.array([3.0, -1.0, 4.0])
            present = random.random(end - start) < 0.7
            present[[0, -1]] = True
            frames[~present] = 0
            if i == 9:
                frames[present, 16] = 0  # the right hip is missing
            if i == 10:
                frames[0, 16] = 0  # at first
            bodies.append(Body(start, frames.astype(np.float32), present))
        clips.append(present_only(Clip(name=str(i), label=-1, bodies=tuple(bodies))))
    return clips


def stored(clips: list[Clip], origin: str) -> Store:
    """As ``prepare`` would write them."""
    ready = [centred(clip, joint=NTU.index[NTU.centre]) for clip in clips] if origin == "centre" else clips
    return store_of(ready, NTU, origin=origin)


def padded(clips: list[Clip]) -> torch.Tensor:
    """[clips, 3, longest, joints, 3], zero where there is nothing."""
    out = np.zeros((len(clips), 3, max(clip.length for clip in clips), 25, 3), np.float32)
    for row, clip in zip(out, clips, strict=True):
        array = as_array(clip)
        row[: len(array), : clip.length] = array
    return torch.from_numpy(out)


def classified(network: Classify, store: Store) -> torch.Tensor:
    loader = loader_for(network.encoder, store)
    view = central_view(torch.arange(len(store)), loader.length, network.encoder.crop)
    return network(loader.load(loader.plan(view))).softmax(1)


@pytest.mark.parametrize("absent", ["hold", "zero"])
@pytest.mark.parametrize("stream", ["joint", "bone", "motion"])
@pytest.mark.parametrize("view", ["recorded", "body"])
@torch.no_grad()
def test_prepares_as_the_loader_does(absent: str, stream: str, view: str) -> None:
    clips = recordings()
    for origin, of in product(("centre", "none"), ("first", "mean") if view == "body" else ("first",)):
        made = encoder(InputSpec(origin=origin, view=view, view_of=of, stream=stream, absent_frames=absent))
        expected = encode_store(made, stored(clips, origin))
        found = FromRaw(made, None, raw=NTU, nodes=NTU)(padded(clips))
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("pool", ["present", "all_slots"])
@pytest.mark.parametrize("head", [LinearHead, MLPHead])
@torch.no_grad()
def test_scores_as_the_head_does(pool: str, head: type[Head]) -> None:
    clips = recordings()
    made = encoder(InputSpec(view="yaw"), LIMBS, pool=pool)
    network = Classify(encoder=made, head=head(width=8, joints=len(LIMBS), classes=4)).eval()
    found = FromRaw(made, network.head, raw=NTU, nodes=LIMBS).eval()(padded(clips))
    torch.testing.assert_close(found, classified(network, stored(clips, "centre")))


@torch.no_grad()
def test_length_slots_and_place_do_not_matter() -> None:
    """Zeros behind a clip, empty slots before and after its bodies, and where its origin was."""
    made = encoder(InputSpec(view="body"))
    network, clips = FromRaw(made, None, raw=NTU, nodes=NTU), padded(recordings())
    expected = network(clips)
    longer = torch.nn.functional.pad(clips, (0, 0, 0, 0, 0, 17, 1, 2))
    torch.testing.assert_close(network(longer), expected)
    moved = torch.where((clips != 0).flatten(3).any(3)[..., None, None], clips + 0.5, 0.0)
    torch.testing.assert_close(network(moved)[:-2], expected[:-2], atol=2e-5, rtol=1e-5)  # the last two lack a hip


@torch.no_grad()
def test_the_central_share_of_every_length() -> None:
    """A margin that is off by one frame would show in features of noise."""
    made, random = encoder(InputSpec()), np.random.default_rng(2)
    clips = [
        Clip(str(n), -1, bodies=(Body(0, random.normal(size=(n, 25, 3)).astype(np.float32), np.ones(n, bool)),))
        for n in range(1, 330, 2)
    ]
    expected = encode_store(made, stored(clips, "centre"))
    torch.testing.assert_close(FromRaw(made, None, raw=NTU, nodes=NTU)(padded(clips)), expected, atol=2e-6, rtol=1e-5)
