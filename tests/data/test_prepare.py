"""From files to a store: what is skipped, what is refused, and the cache."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masksem_graph.cli.prepare import main
from masksem_graph.data import prepare as module
from masksem_graph.data.config import DataConfig
from masksem_graph.data.prepare import cached_store, prepare
from masksem_graph.data.readers.nw_ucla import NWUCLAReader
from masksem_graph.data.store import open_store
from masksem_graph.errors import InputError
from masksem_graph.files import locked, remove_leftovers


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six NW-UCLA files: two bad, one of a single frame, one with a frame of zeros."""
    folder = tmp_path / "source"
    folder.mkdir()
    for i in range(6):
        frames = 1 + np.random.rand(1 if i == 2 else 5, 20, 3)
        if i == 3:
            frames[0] = 0
        text = json.dumps({"file_name": "", "skeletons": frames.tolist(), "label": i + 1})
        (folder / f"a0{i + 1}_s01_e00_v0{1 + i % 3}.json").write_text(text[:200] if i in (1, 4) else text)
    return folder


def test_skips_and_lists_bad_clips(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = prepare("nw_ucla", source, tmp_path / "store")
    store = open_store(report.store)
    assert report.clips == len(store) == 4
    assert [Path(place).name for place, _ in report.skipped] == ["a02_s01_e00_v02.json", "a05_s01_e00_v02.json"]
    with (tmp_path / "store" / "skipped.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in rows] == [Path(place).name for place, _ in report.skipped]
    assert all("not whole JSON" in row["error"] for row in rows)
    assert "2 bad clips SKIPPED" in capsys.readouterr().err


def test_strict_stops_at_the_first_and_leaves_the_old_store(source: Path, tmp_path: Path) -> None:
    prepare("nw_ucla", source, tmp_path / "store")
    with pytest.raises(InputError, match="a02_s01_e00_v02"):
        prepare("nw_ucla", source, tmp_path / "store", strict=True)
    assert len(open_store(tmp_path / "store")) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source", "store"]


def test_a_store_of_another_format_is_not_replaced(source: Path, tmp_path: Path) -> None:
    prepare("nw_ucla", source, tmp_path / "store", workers=1)
    with pytest.raises(InputError, match=r"store: holds a store of nw_ucla, expected another folder for one of demo$"):
        prepare("demo", source, tmp_path / "store", workers=1)
    (tmp_path / "store" / "store.yaml").write_text("damaged")
    prepare("nw_ucla", source, tmp_path / "store", workers=1)
    assert open_store(tmp_path / "store").format == "nw_ucla"


def test_nothing_good_is_an_error(source: Path, tmp_path: Path) -> None:
    for path in source.iterdir():
        path.write_text("{")
    with pytest.raises(InputError, match="none of its 6 clips can be used, the first"):
        prepare("nw_ucla", source, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_origin(source: Path, tmp_path: Path) -> None:
    prepare("nw_ucla", source, tmp_path / "centre")
    prepare("nw_ucla", source, tmp_path / "none", origin="none")
    centre, none = open_store(tmp_path / "centre"), open_store(tmp_path / "none")
    for a, b in zip(centre, none, strict=True):
        joint = centre.topology.index[centre.topology.centre]
        assert not a.bodies[0].frames[0, joint].any()
        np.testing.assert_array_equal(a.bodies[0].frames, b.bodies[0].frames - b.bodies[0].frames[0, joint])
    assert (centre.origin, none.origin) == ("centre", "none")
    zeros = centre[int(np.flatnonzero(centre.label == 3)[0])]
    assert (zeros.bodies[0].start, zeros.length) == (1, 5), "a frame of zeros is not present"


def test_second_clip_of_a_name_is_skipped(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source, source / "copy")
    report = prepare("nw_ucla", source, tmp_path / "store")
    assert report.clips == 4
    assert sum("a second clip called" in error for _, error in report.skipped) == 4


def test_workers_give_the_same_store(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES_PER_WORKER", 6)
    monkeypatch.setattr(module, "CHUNK", 2)
    for workers in (1, 2):
        prepare("ntu", shared / "ntu-rgbd-samples", tmp_path / str(workers), workers=workers)
    one, two = open_store(tmp_path / "1"), open_store(tmp_path / "2")
    assert one.name.tolist() == two.name.tolist() == sorted(one.name.tolist())
    np.testing.assert_array_equal(one.frames, two.frames)


def test_all_of_nw_ucla(shared: Path, tmp_path: Path) -> None:
    report = prepare("nw_ucla", shared / "nw-ucla", tmp_path / "store", workers=1, strict=True)
    store = open_store(report.store)
    assert len(store) == 1484
    assert {part: len(index) for part, index in store.splits["xview"].items()} == {"train": 1020, "test": 464}
    assert (store.length.min(), np.median(store.length), store.length.max()) == (1, 31, 201)
    assert not report.skipped


def test_cache(source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    store = cached_store("nw_ucla", source)
    assert store.path.parent == cache
    assert f"into {store.path}" in capsys.readouterr().err.replace("\n", "")
    assert not [p.name for p in cache.iterdir() if p.name.startswith(".")]

    def fail(*_: object) -> None:
        raise AssertionError("the cached store is to be used")

    with monkeypatch.context() as patch:
        patch.setattr(NWUCLAReader, "read", fail)
        assert cached_store("nw_ucla", source).path == store.path
        assert cached_store("nw_ucla", store.path).path == store.path, "a store is opened where it is"
        patch.chdir(source.parent)
        assert cached_store("nw_ucla", "source").path == store.path, "a relative path means the same source"
    other = cached_store("nw_ucla", source, origin="none")
    (source / "a01_s01_e00_v01.json").unlink()
    assert len({store.path, other.path, cached_store("nw_ucla", source).path}) == 3
    with pytest.raises(InputError, match="no source given"):
        cached_store("nw_ucla", None)


def test_a_damaged_store_of_the_cache_is_prepared_anew(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cached_store("nw_ucla", source).path
    before = contents(path)
    (path / "label.npy").write_bytes(before["label.npy"][:-1] + b"\x01")
    assert contents(cached_store("nw_ucla", source).path) == before
    assert "label.npy: was changed or damaged after it was written" in capsys.readouterr().err


def _open_in_process(source: Path) -> int:
    return len(cached_store("nw_ucla", source))


def test_two_processes_share_one_cache(source: Path, cache: Path) -> None:
    before = len(list(cache.glob("*/store.yaml")))
    # fork: what is under test is the race, and a start by spawn would spread the two in time.
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_open_in_process, [source, source], chunksize=1) == [4, 4]
    assert len(list(cache.glob("*/store.yaml"))) == before + 1


def test_demo_needs_no_source(cache: Path) -> None:
    store = cached_store("demo", None)
    assert store.topology.name == "ntu25"
    assert {name: len(parts["train"]) for name, parts in store.splits.items()} == {"xsub": 360, "xview": 480}
    assert (np.diff(store.clip_offset).max(), len(store.classes)) == (2, 12)


def test_command_line(shared: Path, tmp_path: Path) -> None:
    output = tmp_path / "store"
    main(
        [
            "ntu",
            str(shared / "golden/ntu"),
            "--output",
            str(output),
            "--cleaning",
            "recorded",
            "--origin",
            "none",
            "--workers",
            "1",
        ]
    )
    store = open_store(output)
    assert (len(store), store.origin, store.options["cleaning"]) == (5, "none", "recorded")
    with pytest.raises(InputError, match="cleaning"):
        main(["ntu", str(shared), "--output", str(output), "--cleaning", "thorough"])
    with pytest.raises(InputError, match="exclude"):
        main(["nw_ucla", str(shared), "--output", str(output), "--exclude", "x"])
    with pytest.raises(
        InputError, match="bvh, coco, demo, demo_kinect20, folder, mediapipe, npz, ntu, nw_ucla, openpose, pku, pyskl"
    ):
        main(["kinetics", str(shared), "--output", str(output)])
    with pytest.raises(InputError, match="output"):
        main(["ntu", str(shared)])


def test_a_nan_costs_a_joint_and_no_clip_unless_asked(source: Path, tmp_path: Path) -> None:
    (path, *others) = sorted(source.iterdir())
    for other in others:
        other.unlink()
    fields = json.loads(path.read_text())
    frames = np.array(fields["skeletons"])
    fields["skeletons"][1][7][2] = float("nan")
    fields["skeletons"][4][9] = [float("nan")] * 3
    path.write_text(json.dumps(fields))
    report = prepare("nw_ucla", source, tmp_path / "store", origin="none", strict=True)
    frames[1, 7], frames[4, 9] = (frames[0, 7] + frames[2, 7]) / 2, frames[3, 9]
    np.testing.assert_allclose(open_store(report.store)[0].bodies[0].frames, frames, rtol=1e-6)
    assert report.filled == 2
    with pytest.raises(InputError, match="was not found in 1 or more frames from frame 1 on, expected none"):
        prepare("nw_ucla", source, tmp_path / "store", options={"missing": "skip"})
    held = prepare(
        "nw_ucla", source, tmp_path / "store", origin="none", options={"missing": "hold", "missing_frames": 1}
    ).store
    np.testing.assert_allclose(open_store(held)[0].bodies[0].frames[1, 7], frames[0, 7], rtol=1e-6)
    with pytest.raises(InputError, match="expected none, see --missing"):
        prepare("nw_ucla", source, tmp_path / "store", options={"missing_frames": 0})


def test_a_missing_root_says_where_it_was_named(tmp_path: Path) -> None:
    config = DataConfig(format="nw_ucla", split="xview", root=str(tmp_path / "nothing"))
    with pytest.raises(
        InputError, match=r"^data\.root: .*nothing: no such file or folder, expected a store or the data of nw_ucla"
    ):
        config.open()
    with pytest.raises(InputError, match=r"^data\.root: no source given, expected --data\.root"):
        replace(config, root=None).open()


def test_each_store_has_its_own_list_of_skipped_clips(source: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        prepare("nw_ucla", source, tmp_path / name)
    for path in (source / "a02_s01_e00_v02.json", source / "a05_s01_e00_v02.json"):
        path.unlink()
    prepare("nw_ucla", source, tmp_path / "two")
    assert not (tmp_path / "two" / "skipped.csv").exists(), "an empty list is no list"
    assert (
        len((tmp_path / "one" / "skipped.csv").read_text().splitlines()) == 1 + open_store(tmp_path / "one").counts["skipped"]
    )


def test_a_store_that_was_prepared_otherwise_is_refused(shared: Path, tmp_path: Path) -> None:
    prepare("ntu", shared / "golden/ntu", tmp_path / "store")
    assert open_store(tmp_path / "store").options["actions"] == 60, "found out, and noted"
    config = DataConfig(format="ntu", split="xsub", root=str(tmp_path / "store"), options={"actions": 60}, origin="centre")
    assert len(config.open()) == 5
    with pytest.raises(InputError, match=r"data\.options\.actions: expected 120, but .* was prepared with 60"):
        replace(config, options={"actions": 120}).open()
    with pytest.raises(InputError, match=r"data\.origin: expected none, but .* was prepared with centre"):
        replace(config, origin="none").open()
    with pytest.raises(InputError, match=r"data\.origin: expected none, but .* was prepared with centre"):
        replace(config, format="pku", origin="none", options={}).open()
    assert len(replace(config, format="pku", options={"actions": 120}).open()) == 5, (
        "another reader's options are not compared"
    )
    with pytest.raises(InputError, match=r"data\.split: expected one of xsub, xview, found xset"):
        replace(config, split="xset").open()


@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("nw_ucla", "a01_s01_e00_v01.json"),
        ("ntu", "S001C001P001R001A001.skeleton"),
        ("ntu", "some.zip"),
        ("utd_mhad", "a1_s1_t1_skeleton.mat"),
        ("sbu", "s01s02/01/001/skeleton_pos.txt"),
        ("npz", "some.npz"),
        ("pyskl", "some.pkl"),
        ("folder", "dataset.yaml"),
        ("folder", "clip.npy"),
    ],
)
def test_a_pipe_is_no_clip(tmp_path: Path, format: str, name: str) -> None:
    root = tmp_path / "source"
    (root / name).parent.mkdir(parents=True)
    os.mkfifo(root / name)
    if name == "clip.npy":
        (root / "dataset.yaml").write_text("topology: tiny5\n")
        (root / "clips.csv").write_text("file,label\nclip.npy,a\n")
    with pytest.raises(InputError, match=r"is not a regular file|expected one"):
        prepare(format, root, tmp_path / "store")


def test_numbers_that_overflow_when_they_are_centred(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    np.save(tmp_path / "own" / "a.npy", np.float32([[[3e38] * 2] * 17, [[-3e38] * 2] * 17]))
    (tmp_path / "own" / "dataset.yaml").write_text("topology: coco17\n")
    (tmp_path / "own" / "clips.csv").write_text("file,label\na.npy,a\n")
    with pytest.raises(InputError, match=r"found a coordinate of 3e\+38 in pixels, expected at most 1e\+06"):
        prepare("folder", tmp_path / "own", tmp_path / "store")
    with pytest.raises(InputError, match="--missing_frames: found -1, expected a number from 0"):
        prepare("folder", tmp_path / "own", tmp_path / "store", options={"missing_frames": -1})


def test_output_that_cannot_be_written(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        prepare("nw_ucla", source, source / "a01_s01_e00_v01.json" / "store")


def contents(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(store.iterdir())}


RUN = """
import os, signal
from pathlib import Path
from masksem_graph.data.readers.nw_ucla import NWUCLAReader
original, count = NWUCLAReader.read, 0
def read(self, source):
    global count
    count += 1
    if count == {at}:
        os.kill(os.getpid(), signal.{signal})
    return original(self, source)
NWUCLAReader.read = read
rename, renames = os.rename, 0
def killed_rename(old, new):
    global renames
    rename(old, new)
    renames += 1
    if renames == {rename}:
        os.kill(os.getpid(), signal.SIGKILL)
os.rename = killed_rename
from masksem_graph.cli import main
main(["prepare", "nw_ucla", {source!r}, "--output", {output!r}, "--origin", "none"])
"""


def run(source: Path, output: Path, *, at: int = -1, sent: str = "SIGKILL", rename: int = -1, room: int | None = None) -> Any:
    """The command in a process of its own, which gets a signal at a clip, dies after a rename, or has little room."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    script = RUN.format(at=at, signal=sent, rename=rename, source=str(source), output=str(output))

    def little_room() -> None:
        if room is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
        check=False,
        preexec_fn=little_room,
    )


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("old", [True, False])
def test_killed(source: Path, tmp_path: Path, old: bool) -> None:
    """What was there stays, and the next conversion removes what the dead process left."""
    whole = contents(prepare("nw_ucla", source, tmp_path / "whole", origin="none").store)
    stores = tmp_path / "stores"
    before = contents(prepare("nw_ucla", source, stores / "store").store) if old else {}
    assert run(source, stores / "store", at=4).returncode == -signal.SIGKILL
    assert len([name for name in listing(stores) if name.endswith(".partial")]) == 1
    assert (contents(stores / "store") if old else {}) == before
    prepare("nw_ucla", source, stores / "store", origin="none")
    assert contents(stores / "store") == whole
    assert sorted(path.name for path in stores.iterdir()) == ["store"]


def test_killed_between_the_renames(source: Path, tmp_path: Path) -> None:
    stores = tmp_path / "stores"
    before = contents(prepare("nw_ucla", source, stores / "store").store)
    assert run(source, stores / "store", rename=1).returncode == -signal.SIGKILL
    assert not (stores / "store").exists()
    remove_leftovers(stores / "store")
    assert contents(stores / "store") == before, "the old store comes back"
    assert listing(stores) == ["store"]


def test_leftovers_of_the_living_stay(source: Path, tmp_path: Path) -> None:
    stores = tmp_path / "stores"
    for name in (f".store.{os.getppid()}.partial", ".store.notes.partial", ".storey.99999999.partial", ".store.1.partial"):
        (stores / name).mkdir(parents=True)
    prepare("nw_ucla", source, stores / "store")
    assert len(listing(stores)) == 5


def test_interrupted(source: Path, tmp_path: Path) -> None:
    stores = tmp_path / "stores"
    answer = run(source, stores / "store", at=4, sent="SIGINT")
    assert (answer.returncode, answer.stdout) == (130, "")
    assert "stopped; nothing was written" in answer.stderr and "Traceback" not in answer.stderr
    assert list(stores.iterdir()) == []


def test_a_full_disk(source: Path, tmp_path: Path) -> None:
    stores = tmp_path / "stores"
    before = contents(prepare("nw_ucla", source, stores / "store").store)
    answer = run(source, stores / "store", room=700)
    assert answer.returncode == 2, answer.stderr
    line = answer.stderr.strip().splitlines()[-1]
    assert line == f"error: {stores / 'store'}: cannot be written: File too large"
    assert contents(stores / "store") == before
    assert listing(stores) == ["store"]


def test_a_linked_store_stays_a_link(source: Path, tmp_path: Path) -> None:
    real = prepare("nw_ucla", source, tmp_path / "real" / "store").store
    (tmp_path / "link").symlink_to(real)
    prepare("nw_ucla", source, tmp_path / "link", origin="none")
    assert (tmp_path / "link").is_symlink()
    assert open_store(real).origin == "none"


def test_one_process_at_a_time(source: Path, tmp_path: Path) -> None:
    with (
        locked(tmp_path / "store", wait=False),
        pytest.raises(InputError, match=rf"process {os.getpid()} on .* is writing it now"),
    ):
        prepare("nw_ucla", source, tmp_path / "store")
    assert prepare("nw_ucla", source, tmp_path / "store").clips == 4


def test_a_worker_that_dies(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES_PER_WORKER", 1)
    monkeypatch.setattr(module, "CHUNK", 2)
    monkeypatch.setattr(module, "_start_worker", int)  # which takes no reader
    with pytest.raises(InputError, match="a process that read it died; try the same command with fewer --workers"):
        prepare("nw_ucla", source, tmp_path / "store", workers=2)
    assert not (tmp_path / "store").exists()


HOSTILE = r"""
import io, pickle, resource, struct, sys, zipfile
import numpy as np
from pathlib import Path
from masksem_graph.cli import main
root = Path(sys.argv[1])
header = io.BytesIO()
np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**7, 300, 150)})
(root / "clip.npy").write_bytes(header.getvalue())
(root / "dataset.yaml").write_text("topology: ntu25")
(root / "clips.csv").write_text("file,label\nclip.npy,a\n")
with zipfile.ZipFile(root / "a.npz", "w") as archive:
    for name in ("x_train", "x_test", "y_train", "y_test"):
        archive.writestr(name + ".npy", header.getvalue())
(root / "a.pkl").write_bytes(b"\x80\x04\x8e" + struct.pack("<Q", 2**33) + b"N.")
(root / "b.pkl").write_bytes(b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b".")
(root / "S001C001P001R001A001.skeleton").write_text("999999999\n999999999\n")
(root / "a01_s01_e00_v01.json").write_text("[" * 10**6)
with zipfile.ZipFile(root / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for name in ("S001C001P001R001A002.skeleton", "S001C001P001R001A003.skeleton"):
        archive.writestr(name, bytes(2**27))
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))
for source in ("folder:", "npz:a.npz", "pyskl:a.pkl", "pyskl:b.pkl", "ntu:", "nw_ucla:", "ntu:bomb.zip"):
    format, name = source.split(":")
    try:
        main(["prepare", format, str(root / name), "--output", str(root / "stores" / format)])
    except SystemExit as stopped:
        print(stopped.code)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc to know its own size")
def test_sizes_in_files_are_not_believed(tmp_path: Path) -> None:
    """Files of a few bytes that promise gigabytes, read with half a gigabyte to spare."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", HOSTILE, str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == ["2"] * 7
    assert "Traceback" not in answer.stderr
    lines = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 7
    assert "MemoryError" not in answer.stderr
