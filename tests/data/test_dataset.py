"""The data set as torch_geometric knows it, equal to the loader of whole batches field by field."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch_geometric.data import Batch, Dataset
from torch_geometric.loader import DataLoader
from torch_geometric.transforms import BaseTransform, Compose

from masksem_graph.backbones import Transformer
from masksem_graph.data.clip import Body, Clip
from masksem_graph.data.dataset import SkeletonDataset
from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.data.store import Store, StoreWriter, open_store, store_of
from masksem_graph.data.views import whole_view
from masksem_graph.edges import skeleton_graph
from masksem_graph.encodings import Laplacian
from masksem_graph.errors import InputError
from masksem_graph.graph import SkeletonBatch, SkeletonData
from masksem_graph.models.build import ModelConfig
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.topology import Topology, load_topology

TINY, LIMBS = load_topology("tiny5"), load_topology("tiny5_limbs")
FIELDS = ("x", "frames", "edge_index", "edge_attr", "joint", "segment", "body", "batch", "sequence", "y")
DERIVATIVES = ("velocity", "acceleration")


def clips(topology: Topology, bodies: tuple[int, ...] = (1, 2, 2, 1, 3)) -> list[Clip]:
    """Of 9 frames and more; of a second body some frames are missing."""

    def body(i: int, j: int) -> Body:
        present = np.ones(9 + i, bool)
        if j:
            present[2:4] = False
        frames = np.random.randn(9 + i, len(topology.inputs), 3).astype(np.float32) * present[:, None, None]
        return Body(start=j, frames=frames, present=present)

    return [
        Clip(name=f"c{i}", label=2 - i % 3, bodies=tuple(body(i, j) for j in range(count))) for i, count in enumerate(bodies)
    ]


def loaded_at_once(store: Store, chosen: torch.Tensor, **options: Any) -> SkeletonBatch:
    loader = SkeletonLoader(store, frames=8, segment=2, **options)
    return loader.load(loader.plan(whole_view(chosen, loader.length[chosen])))


@pytest.mark.parametrize("name", ["tiny5", "kinect20", "ntu25"])
@pytest.mark.parametrize("bodies", [(1, 1, 1), (2, 2, 2), (1, 2, 2, 1, 3)], ids=["one", "two", "mixed"])
@pytest.mark.parametrize(
    "options",
    [{}, {"derivatives": True}, {"stream": "bone", "absent_frames": "zero"}, {"view": "body"}],
    ids=["plain", "derivatives", "bones", "view"],
)
def test_torch_geometrics_loader_gives_the_same_batch(name: str, bodies: tuple[int, ...], options: dict[str, Any]) -> None:
    topology = load_topology(name)
    store = store_of(clips(topology, bodies), topology, classes=("a", "b", "c"))
    dataset = SkeletonDataset(store, frames=8, segment=2, **options)
    collated = next(iter(DataLoader(dataset, batch_size=len(dataset))))
    at_once = loaded_at_once(store, torch.arange(len(bodies)), **options)
    assert isinstance(collated, SkeletonData) and isinstance(collated, Batch)
    fields = FIELDS + (DERIVATIVES if "derivatives" in options else ())
    for field in fields:
        one, other = collated[field], at_once[field]
        assert one.dtype == other.dtype and torch.equal(one, other), field
    assert set(at_once.keys()) == {*fields, "grid"}, "every field is compared"
    assert set(collated.keys()) == {*fields, "grid", "ptr"}
    for field in ("topology", "segments", "num_bodies", "num_sequences", "nodes_per_body", "num_edges"):
        assert getattr(collated, field) == getattr(at_once, field), field
    assert collated.num_bodies == sum(bodies) and collated.topology == topology
    assert torch.equal(collated.dense, at_once.dense) and torch.equal(collated.context, at_once.context)
    kept = torch.arange(0, at_once.nodes_per_body, 3).expand(sum(bodies), -1)
    some, other = collated.subgraph(kept, hops=2), at_once.subgraph(kept, hops=2)
    for field in ("x", "edge_index", "edge_attr", "body", "batch"):
        assert torch.equal(getattr(some, field), getattr(other, field)), field


def test_with_joints_that_are_context() -> None:
    store = store_of(clips(TINY), TINY, classes=("a", "b", "c"))
    dataset = SkeletonDataset(store, frames=8, segment=2, topology=LIMBS)
    collated = next(iter(DataLoader(dataset, batch_size=5)))
    at_once = loaded_at_once(store, torch.arange(5), topology=LIMBS)
    assert collated.topology == LIMBS == dataset.topology and collated.frames.shape[2] == 5
    for field in FIELDS:
        assert torch.equal(collated[field], at_once[field]), field
    assert torch.equal(collated.context, at_once.context) and collated.context.shape[2] == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_in_any_order(workers: int) -> None:
    """Also from another process, where topologies are not the same objects."""
    store = store_of(clips(TINY), TINY, classes=("a", "b", "c"))
    dataset, order = SkeletonDataset(store, frames=8, segment=2), torch.tensor([3, 1, 4, 0])
    batches = list(DataLoader(dataset[order], batch_size=2, num_workers=workers))
    assert len(batches) == 2
    for collated, chosen in zip(batches, order.split(2), strict=True):
        at_once = loaded_at_once(store, chosen)
        for field in FIELDS:
            assert torch.equal(collated[field], at_once[field]), field
        assert collated.topology == TINY


def test_an_item() -> None:
    store = store_of(clips(TINY), TINY, classes=("a", "b", "c"))
    dataset = SkeletonDataset(store, frames=8, segment=2)
    assert isinstance(dataset, Dataset) and len(dataset) == 5
    assert (dataset.classes, dataset.num_classes, dataset.topology) == (("a", "b", "c"), 3, TINY)
    item = dataset[1]
    assert type(item) is SkeletonData and item.validate() and "batch" not in item
    assert item.x.shape == (2 * 4 * 5, 6) and item.frames.shape == (2, 8, 5, 3) and item.y.tolist() == [1]
    assert item.sequence.tolist() == [0, 0] and item.body.tolist() == [0] * 20 + [1] * 20
    one = skeleton_graph(TINY, 4).edge_index
    assert torch.equal(item.edge_index, torch.cat([one, one + 20], 1))
    back = pickle.loads(pickle.dumps(item))
    assert all(torch.equal(back[field], item[field]) for field in FIELDS if field != "batch") and back.topology == TINY
    with pytest.raises(IndexError):
        dataset[5]


def test_a_transform_is_applied_to_each_item() -> None:
    class Doubled(BaseTransform):
        def forward(self, data: SkeletonData) -> SkeletonData:
            return data.with_frames(2 * data.frames)

    store = store_of(clips(TINY), TINY, classes=("a", "b", "c"))
    plain, doubled = (SkeletonDataset(store, frames=8, segment=2, transform=by) for by in (None, Compose([Doubled()] * 2)))
    assert torch.equal(doubled[2].x, 4 * plain[2].x) and torch.equal(doubled[2].frames, 4 * plain[2].frames)
    assert torch.equal(doubled[2].edge_index, plain[2].edge_index)
    assert torch.equal(next(iter(DataLoader(doubled, batch_size=5))).x, 4 * next(iter(DataLoader(plain, batch_size=5))).x)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    with StoreWriter(tmp_path / "store", topology=TINY, classes=("a", "b", "c")) as writer:
        for clip in clips(TINY):
            writer.add(clip)
        writer.splits = {"half": np.arange(5) < 3, "odd": np.arange(5) % 2 == 1}
    return tmp_path / "store"


def test_parts_of_a_split(written: Path) -> None:
    expected = {("half", "train"): [0, 1, 2], ("half", "test"): [3, 4], ("odd", "train"): [1, 3], ("odd", "test"): [0, 2, 4]}
    for (split, part), chosen in expected.items():
        dataset = SkeletonDataset(written, split=split, part=part, frames=8, segment=2)  # type: ignore[arg-type]
        assert dataset.clips.tolist() == chosen and len(dataset) == len(chosen)
        at_once = loaded_at_once(open_store(written), torch.tensor(chosen))
        collated = next(iter(DataLoader(dataset, batch_size=9)))
        assert torch.equal(collated.x, at_once.x) and torch.equal(collated.y, at_once.y)
    assert len(SkeletonDataset(written, split="half")) == 5


def test_clips_for_an_encoder_are_on_its_own_graph(written: Path, tmp_path: Path) -> None:
    """Also where it has the joints of the clips' own topology and other bones: other encodings, other edges."""
    ring = replace(TINY, name="ring", bones=(*TINY.bones, ("left_hand", "right_hand")))
    blocks = partial(Transformer, depth=1, heads=2)
    model = ModelConfig(frames=8, segment=2, width=8, encodings=[Laplacian], backbone=blocks, decoder=blocks)
    own = SkeletonDataset(written, split="half", frames=8, segment=2)
    encoder = SkeletonEncoder(model, topologies=[ring], channels=3, recorded=[TINY], input_spec=own.prepared).eval()
    clip, known = own[0], own.like(encoder)[0]
    assert known.topology == ring and known.edge_index.shape[1] > clip.edge_index.shape[1]
    assert encoder(known).isfinite().all()
    with pytest.raises(InputError, match=r"found the skeleton tiny5, expected ring with other bones, as"):
        encoder(clip)
    assert encoder(SkeletonDataset(written, split="half", frames=8, segment=2, topology=replace(ring, source="x"))[0]).any()
    other = replace(TINY, name="other", bones=(*TINY.bones, ("left_hand", "foot")))
    encoder.home = other, TINY  # as load_encoder(topology=...) leaves it
    assert own.like(encoder)[0].topology == other and encoder(own.like(encoder)[0]).isfinite().all()
    (path := tmp_path / "ring.yaml").write_text(yaml.safe_dump(ring.to_dict()))
    assert SkeletonDataset(written, split="half", topology=path).topology.bones == ring.bones


def test_names_of_the_command_line_are_told_apart() -> None:
    with pytest.raises(InputError, match=r"a SkeletonDataset takes a store, or a format as 'nw_ucla'$"):
        SkeletonDataset("nw_ucla_xview")
    with pytest.raises(InputError, match=r"format 'demoo': did you mean demo\?"):
        SkeletonDataset("demoo")


def test_what_is_not_there(written: Path) -> None:
    for nowhere in ("/tmp/nothing", Path("/tmp/nothing")):
        with pytest.raises(InputError, match=r"^/tmp/nothing: no such store, expected a folder with store.yaml"):
            SkeletonDataset(nowhere)
    with pytest.raises(InputError, match=r"^split: expected one of half, odd$"):
        SkeletonDataset(written)
    with pytest.raises(InputError, match=r"^split: expected one of half, odd, found xsub$"):
        SkeletonDataset(written, split="xsub")
    with pytest.raises(InputError, match=r"^frames: expected a multiple of segment = 4, found 10$"):
        SkeletonDataset(written, split="half", frames=10, segment=4)
    for options, message in (
        ({"train": False}, r"^train: no such option, expected one of absent_frames, .*; part='train'"),
        ({"view": "boddy"}, r"^view: expected one of recorded, yaw, body, found 'boddy'$"),
    ):
        with pytest.raises(InputError, match=message):
            SkeletonDataset(written, split="half", **options)
    memory = store_of(clips(TINY), TINY, classes=("a", "b", "c"))
    with pytest.raises(InputError, match=r"^split: expected one of \(none\), found "):
        SkeletonDataset(memory, part="train")
