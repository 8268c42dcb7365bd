"""The reader of ST-GCN's arrays."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masksem_graph.data.prepare import prepare
from masksem_graph.data.readers.ntu import ACTIONS
from masksem_graph.data.readers.stgcn import STGCNReader
from masksem_graph.data.store import Store, open_store
from masksem_graph.errors import InputError
from tests.recordings import save_stgcn

NTU = ("S001C002P003R001A005.skeleton", "S002C001P008R002A060.skeleton")


def clips(count: int = 2, joints: int = 25) -> np.ndarray:
    """Two bodies, the second from frame 3 to 5 of 8 and the last two of padding, [N, M, T, V, C]."""
    made = np.random.default_rng(0).uniform(0.1, 1, (count, 2, 8, joints, 3)).round(3)
    made[:, 1, :3], made[:, 1, 6:], made[:, 0, 6:] = 0, 0, 0
    return made


def stored(source: Path, output: Path, **options: Any) -> Store:
    return open_store(prepare("stgcn", source, output, options=options, strict=True).store)


def test_ntu(tmp_path: Path) -> None:
    made = clips(2)
    made[:, 0, :6, 1] = 0  # 2s-AGCN's clips are centred on the spine in every frame
    made[0, 0, 2, 7] = np.nan
    save_stgcn(tmp_path / "xsub", "train", made[:1], NTU[:1], [4])
    save_stgcn(tmp_path / "xsub", "val", made[1:], NTU[1:], np.array([59]).tolist(), joint="")
    store = stored(tmp_path / "xsub", tmp_path / "store")
    assert (store.topology.name, store.units, store.origin, store.classes) == ("ntu25", "metres", "none", ACTIONS[:60])
    assert store.name.tolist() == [name.removesuffix(".skeleton") for name in NTU]
    fields = [store.label.tolist(), store.subject.tolist(), store.camera.tolist(), store.setup.tolist()]
    assert fields == [[4, 59], [3, 8], [2, 1], [1, 2]]
    assert [part.tolist() for part in store.splits["xsub"].values()] == [[0], [1]]
    first, second = store[0].bodies
    assert (first.start, len(first.frames), second.start, len(second.frames)) == (0, 6, 3, 3)
    made[0, 0, 2, 7] = (made[0, 0, 1, 7] + made[0, 0, 3, 7]) / 2
    np.testing.assert_allclose(first.frames, made[0, 0, :6], atol=1e-6)
    assert (first.frames[:, 1] == 0).all() and store.counts["filled"] == 1


def test_kinetics_and_others(tmp_path: Path) -> None:
    made = clips(2, 18)
    made[0, 0, 2, 7, 2] = 0
    save_stgcn(tmp_path / "in", "val", made, ["a", "b"], [0, 399], joint="")
    store = stored(tmp_path / "in/val_data.npy", tmp_path / "store")
    assert (store.topology.name, store.units, store.dimensions, len(store.classes)) == ("openpose18", "relative", 2, 400)
    assert store.counts["filled"] == 1 and store[0].bodies[0].frames[2, 7, 2] == 0
    save_stgcn(tmp_path / "five", "train", clips(2, 5), ["a", "b"], [0, 1])
    with pytest.raises(InputError, match="found 5 joints, expected --topology, or 25 or 18 joints"):
        STGCNReader().sources(tmp_path / "five")
    assert stored(tmp_path / "five", tmp_path / "other", topology="tiny5").topology.name == "tiny5"
    with pytest.raises(InputError, match="found 5 joints, but ntu25 has 25"):
        STGCNReader(topology="ntu25").sources(tmp_path / "five")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((["a"], [0]), "train_label.pkl: found (['a'], [0]), expected 2 names and 2 labels, in a pair of lists"),
        ({"a": 1}, "train_label.pkl: found {'a': 1}, expected 2 names and 2 labels, in a pair of lists"),
        ((["a", 3], [0, 1]), "found (['a', 3], [0, 1]), expected 2 names and 2 labels"),
        (([NTU[0], NTU[1]], [5, 59]), "label: found 5, but the name S001C002P003R001A005 says action A005, which is label 4"),
        ((["a", "b"], ["x", 1]), "label: found 'x', expected 0 to 1"),
        ((["a", "b"], [-1, 1]), "label: found -1, expected 0 to 1"),
        ((["a", "b"], [10**12, 1]), "label: found 1000000000000, expected 0 to 1"),
        (print, "train_label.pkl: refused: it wants 'builtins.print' to run"),
        (None, "train_label.pkl: cannot be read"),
    ],
)
def test_bad_labels(tmp_path: Path, content: Any, message: str) -> None:
    folder = save_stgcn(tmp_path / "in", "train", clips(), ["a", "b"], [0, 1])
    (folder / "train_label.pkl").write_bytes(pickle.dumps(content))
    if content is None:
        (folder / "train_label.pkl").unlink()
    with pytest.raises(InputError) as error:
        stored(folder, tmp_path / "store")
    assert message in str(error.value) and str(folder) in str(error.value)


def test_bad_arrays(tmp_path: Path) -> None:
    folder = save_stgcn(tmp_path / "in", "train", clips(), ["a", "b"], [0, 1])
    path = folder / "train_data_joint.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-8])
    with pytest.raises(InputError, match=r"train_data_joint\.npy: not a readable \.npy array"):
        stored(folder, tmp_path / "store")
    for array, message in (
        (clips(), r"found shape \[2, 2, 8, 25, 3\], expected \[clips, 3, frames, joints, bodies\]"),
        (clips()[0], "found shape"),
        (np.full((2, 3, 4, 25, 1), np.inf), r"keypoint\[0, 0, 0, 0\]: found inf, expected a finite number"),
        (np.zeros((2, 3, 4, 25, 1)), "no frame with a body"),
        (np.full((2, 3, 4, 25, 1), "x"), "found an array of <U1, expected numbers"),
    ):
        np.save(path, array)
        with pytest.raises(InputError, match=message):
            stored(folder, tmp_path / "store")
    save_stgcn(folder, "train", clips(), ["a", "b"], [0, 1], joint="")
    with pytest.raises(InputError, match=r"found train_data\.npy, train_data_joint\.npy, expected train_data_joint\.npy"):
        STGCNReader().sources(folder)
    with pytest.raises(InputError, match="found none, expected"):
        STGCNReader().sources(tmp_path / "missing")
    save_stgcn(tmp_path / "both", "train", clips(), ["a", "b"], [0, 1])
    save_stgcn(tmp_path / "both", "val", clips(), ["c", "b"], [0, 1])
    with pytest.raises(InputError, match="'b' is in the training and in the test part"):
        STGCNReader().sources(tmp_path / "both")
