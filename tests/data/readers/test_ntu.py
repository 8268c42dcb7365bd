"""The NTU reader: values, the community's arrays to the last bit, and bad files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.data.cleaning import centred
from masksem_graph.data.clip import Clip
from masksem_graph.data.readers import load_reader
from masksem_graph.data.readers.ntu import ACTIONS, NTU120_SUBJECTS, NTUReader, parse_skeleton, read_names
from masksem_graph.errors import InputError

NAME = "S001C002P003R001A050.skeleton"


def joint(number: int, frame: int = 0, offset: float = 0.0) -> str:
    return f"{offset + 0.01 * number} {0.1 * number} {2 + 0.01 * frame} 1 2 3 4 0 0 0 1 2"


def body(number: str, frame: int, offset: float = 0.0) -> list[str]:
    return [f"{number} 0 1 1 1 1 0 0.02 0.05 2", "25", *(joint(j, frame, offset) for j in range(25))]


def skeleton(frames: list[list[str]]) -> str:
    """A file of frames, each the ids of its bodies."""
    lines = [str(len(frames))]
    for t, ids in enumerate(frames):
        lines += [str(len(ids)), *(line for i, number in enumerate(ids) for line in body(number, t, offset=i))]
    return "\n".join(lines) + "\n"


def write(folder: Path, text: str, name: str = NAME) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def dense(clip: Clip, width: int) -> np.ndarray:
    """The community's layout, [frames, 75 or 150]."""
    out = np.zeros((clip.length, 2, 25, 3), np.float32)
    for slot, b in enumerate(clip.bodies):
        out[b.start : b.end, slot] = b.frames
    return out.reshape(len(out), 150)[:, :width]


def test_reads_name_and_coordinates(tmp_path: Path) -> None:
    clip = NTUReader().read(write(tmp_path, skeleton([["7"], [], ["7"]])))
    assert (clip.name, clip.label, clip.setup, clip.camera, clip.subject) == ("S001C002P003R001A050", 49, 1, 2, 3)
    (only,) = clip.bodies
    assert only.frames.shape == (2, 25, 3), "the frame without a body is dropped"
    np.testing.assert_array_equal(only.frames[1, 3], np.float32([0.03, 0.1 * 3, 2.02]))


def test_ids_beyond_2_to_53_stay_apart(tmp_path: Path) -> None:
    ids = ["72057594037944738", "72057594037944739"]
    assert float(ids[0]) == float(ids[1])
    tracks, length = parse_skeleton(write(tmp_path, skeleton([ids] * 3)))
    assert (len(tracks), length) == (2, 3)


@pytest.mark.parametrize("folder", ["golden/ntu", "ntu-rgbd-samples"])
def test_equals_the_communitys_arrays(shared: Path, folder: str) -> None:
    reader = NTUReader()
    with np.load(shared / "golden/ntu/cleaned_and_centred.npz") as golden:
        for path in reader.sources(shared / folder):
            clip = centred(reader.read(path), joint=1)
            np.testing.assert_array_equal(dense(clip, golden[path.stem].shape[1]), golden[path.stem], err_msg=path.stem)


def test_recorded_leaves_a_returning_body_where_it_was(shared: Path) -> None:
    path = shared / "golden/ntu/S001C002P002R001A051.skeleton"
    closed, recorded = (NTUReader(cleaning=cleaning).read(path).bodies[0] for cleaning in ("community", "recorded"))
    # Seen in frames 5-19 and 30-44; another body has the slot from frame 49 on.
    assert np.flatnonzero(~closed.present).tolist() == list(range(30, 44))
    assert np.flatnonzero(~recorded.present).tolist() == [*range(15, 25), *range(40, 44)]
    np.testing.assert_array_equal(closed.frames[closed.present], recorded.frames[recorded.present])
    assert not recorded.frames[~recorded.present].any()


def test_splits_and_classes(tmp_path: Path) -> None:
    reader = NTUReader()
    write(tmp_path, skeleton([["7"]]))
    reader.sources(tmp_path)
    assert len(reader.classes) == 60
    clips = {name: np.array([1, 2, 3, 45]) for name in ("subject", "camera", "setup")} | {"label": np.array([0, 1, 2, 3])}
    splits = reader.splits(clips)
    assert {name: mask.tolist() for name, mask in splits.items()} == {
        "xsub": [True, True, False, False],
        "xview": [False, True, True, False],
    }
    write(tmp_path, skeleton([["7"]]), NAME.replace("A050", "A061"))
    reader = NTUReader()
    reader.sources(tmp_path)
    assert reader.classes == ACTIONS
    assert len(set(ACTIONS)) == 120
    splits = reader.splits(clips | {"label": np.array([0, 60, 2, 3])})
    assert {name: mask.tolist() for name, mask in splits.items()} == {
        "xsub": [True, True, False, True],
        "xset": [False, True, False, False],
    }
    assert len(NTU120_SUBJECTS) == 53


@pytest.mark.parametrize("header", ["", "Samples with missing skeletons:\n\n-----\n"])
def test_exclude(tmp_path: Path, header: str) -> None:
    for name in (NAME, NAME.replace("R001", "R002")):
        write(tmp_path, skeleton([["7"]]), name)
    listed = tmp_path / "missing.txt"
    listed.write_text(header + NAME.removesuffix(".skeleton") + "\n")
    found = load_reader("ntu", exclude=str(listed)).sources(tmp_path)
    assert [path.name for path in found] == [NAME.replace("R001", "R002")]


def test_published_lists(shared: Path) -> None:
    lists = shared / "ntu-rgbd-lists"
    counts = [len(set(read_names(lists / f"ntu{n}_missing_skeletons.txt"))) for n in (60, 120)]
    assert counts == [302, 535]


def lines_changed(at: int, new: str) -> str:
    lines = skeleton([["7"]] * 3).split("\n")
    lines[at] = new
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("0\n", "line 1: found '0', expected the number of frames, at least 1"),
        ("2\n0\n0\n", "no body in any of its 2 frames"),
        (lines_changed(0, "99999999999999999999"), "line 1: found '99999999999999999999'"),
        (lines_changed(1, "4000000"), "line 2: found 4000000 bodies, but only 83 lines follow"),
        (lines_changed(1, "-1"), "line 2: found '-1'"),
        (lines_changed(2, "7 0"), "line 3: found 2 words, expected a body's 10"),
        (lines_changed(3, "24"), "line 4: found '24', expected the number of joints, 25"),
        (lines_changed(10, "1 2 3"), "line 11: found 3 words, expected a joint's 12"),
        (
            lines_changed(10, joint(1).replace("0.1", "zero")),
            "line 11: could not convert string to float: 'zero', expected numbers",
        ),
        (lines_changed(10, joint(1).replace("0.1", "nan")), "line 11: found 'nan', expected finite numbers"),
        (lines_changed(10, joint(1).replace("0.1", "1e300")), "line 11: found '1e300', expected finite numbers"),
        (skeleton([["7"]] * 3) + "what\n", "line 86: found 'what', expected the end of the file"),
        (skeleton([["7"]] * 3)[:-300], "line 78: found 2 words"),
        ("\n".join(skeleton([["7"]] * 3).split("\n")[:70]), "ends at line 70, expected 3 frames"),
        (skeleton([["7", "7"]]), "line 30: body 7 stands twice in a frame"),
        (skeleton([["7", "8"]] * 11), "every body is seen in 11 frames or fewer"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        NTUReader().read(path)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["clip.skeleton", NAME.replace("A050", "A000"), NAME.replace("A050", "A121")])
def test_bad_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="expected"):
        NTUReader().read(write(tmp_path, skeleton([["7"]]), name))


def test_bad_options_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cleaning.*thorough"):
        load_reader("ntu", cleaning="thorough")
    with pytest.raises(InputError, match="no option 'clean', expected cleaning, exclude, actions"):
        load_reader("ntu", clean=True)
    with pytest.raises(InputError, match=r"bvh, coco, demo, .* ntu, nw_ucla, openpose, pku, pyskl"):
        load_reader("kinetics")
    with pytest.raises(InputError, match=r"holds no \.skeleton files"):
        NTUReader().sources(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        NTUReader().sources(tmp_path / "missing")
    listed = tmp_path / "names.txt"
    listed.write_text("nothing here\n")
    with pytest.raises(InputError, match="holds no clip name"):
        NTUReader(exclude=listed)


def test_a_readers_own_class_is_found_by_its_path() -> None:
    assert type(load_reader("masksem_graph.data.readers.ntu.NTUReader")) is NTUReader


TOKENS = ["", "x", "-1", "0", "1", "2", "26", "1e99", "nan", "inf", "999999999", "9" * 30, "\x00", "\n", "\r", "é", "25 25"]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_files_raise_only_input_errors(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Cut off, with words replaced, or with lines left out: read, or refused in one line."""
    text = skeleton([["7", "8"], ["7"], ["8", "7"]])
    kind = data.draw(st.sampled_from(["cut", "word", "line", "bytes"]))
    if kind == "cut":
        text = text[: data.draw(st.integers(0, len(text)))]
    elif kind == "word":
        words = text.replace("\n", " \n ").split(" ")
        words[data.draw(st.integers(0, len(words) - 1))] = data.draw(st.sampled_from(TOKENS))
        text = " ".join(words)
    elif kind == "line":
        lines = text.split("\n")
        del lines[data.draw(st.integers(0, len(lines) - 1))]
        text = "\n".join(lines)
    path = tmp_path_factory.mktemp("mutated") / NAME
    path.write_bytes(data.draw(st.binary(max_size=200)) if kind == "bytes" else text.encode())
    try:
        tracks, _ = parse_skeleton(path)
    except InputError as error:
        assert str(error).startswith(str(path))
        assert len(str(error).splitlines()) == 1
    else:
        assert all(np.isfinite(track.joints).all() for track in tracks)


def zipped(folder: Path, archive: Path) -> Path:
    """The folder's files in a .zip, below a folder of its own, as they are published."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.glob("*.skeleton"), reverse=True):
            out.write(path, f"nturgb+d_skeletons/{path.name}")
        out.writestr("nturgb+d_skeletons/", "")
        out.writestr("readme.txt", "nothing to read")
    return archive


def test_the_published_zip_gives_the_same_clips(shared: Path, tmp_path: Path) -> None:
    folder = shared / "golden/ntu"
    archive = zipped(folder, tmp_path / "nturgbd_skeletons_s001_to_s017.zip")
    for root in (archive, tmp_path):
        reader = NTUReader()
        sources = reader.sources(root)
        assert [f"{archive}: nturgb+d_skeletons/{path.name}" for path in sorted(folder.glob("*.skeleton"))] == list(
            map(str, sources)
        )
        for source, path in zip(sources, sorted(folder.glob("*.skeleton")), strict=True):
            one, other = reader.read(source), reader.read(path)
            assert (one.name, one.label) == (other.name, other.label)
            np.testing.assert_array_equal(one.bodies[0].frames, other.bodies[0].frames)
    assert reader.files(tmp_path) == [archive]


def test_what_is_unpacked_is_not_read_twice(tmp_path: Path) -> None:
    other = NAME.replace("R001", "R002")
    write(tmp_path, skeleton([["7"]]), other)
    write(tmp_path, skeleton([["7"]]))
    zipped(tmp_path, tmp_path / "both.zip")
    (tmp_path / NAME).unlink()
    listed = tmp_path / "missing.txt"
    listed.write_text("S001C001P001R001A001\n")
    sources = NTUReader(exclude=listed).sources(tmp_path)
    assert list(map(str, sources)) == [str(tmp_path / other), f"{tmp_path}/both.zip: nturgb+d_skeletons/{NAME}"]


def test_damaged_archives(tmp_path: Path) -> None:
    write(tmp_path, "\n".join(skeleton([["7"]] * 40).split("\n")))
    archive = zipped(tmp_path, tmp_path / "some.zip")
    (tmp_path / NAME).unlink()
    content = bytearray(archive.read_bytes())
    content[200] ^= 0xFF
    archive.write_bytes(content)
    (source,) = NTUReader().sources(archive)
    with pytest.raises(InputError, match=r"some\.zip: nturgb\+d_skeletons/S001C002P003R001A050\.skeleton: cannot be read"):
        NTUReader().read(source)
    archive.write_bytes(content[:-30])
    with pytest.raises(InputError, match=r"some\.zip: not a readable \.zip"):
        NTUReader().sources(tmp_path)


def test_a_bomb_does_not_go_off(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr(NAME, b"1\n" * 40_000_000)
    (source,) = NTUReader().sources(archive)
    with pytest.raises(InputError, match="is larger than 64 MiB"):
        NTUReader().read(source)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"\xef\xbb\xbfS001C001P001R001A001\r\nS001C001P001R001A002\r\n", 2),
        (b"missing skeletons\r\n\r\nS001C001P001R001A001.skeleton", 1),
        (b"\nS001C001P001R001A001\n", 1),
    ],
)
def test_lists_of_names(tmp_path: Path, content: bytes, names: int) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    assert len(read_names(tmp_path / "list.txt")) == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"S001C001P001R001A01\nS001C001P001R001A002\n", "line 1: found 'S001C001P001R001A01', expected a clip name"),
        (b"S0O1C001P001R001A001\nS001C001P001R001A002\n", "line 1: found 'S0O1C001P001R001A001'"),
        (b"head\ns001c001p001r001a001\nS001C001P001R001A002\n", "line 2: found 's001c001p001r001a001'"),
        (b"S001C001P001R001A001\nbla\n", "line 2: found 'bla'"),
        (b"\xff\xfeS\x000\x00", "line 1: is not UTF-8"),
        (b"nothing\n", "holds no clip name"),
    ],
)
def test_mistyped_lists(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(InputError) as error:
        read_names(tmp_path / "list.txt")
    assert str(error.value).startswith(f"{tmp_path}/list.txt: {message}")


def test_sixty_actions_of_a_folder_with_both_sets(tmp_path: Path) -> None:
    for action in ("A050", "A061", "A120", "A121"):
        write(tmp_path, skeleton([["7"]]), NAME.replace("A050", action))
    sixty, both = NTUReader(actions=60), NTUReader(actions=120)
    assert [path.name[16:20] for path in sixty.sources(tmp_path)] == ["A050", "A121"], "A121 is a fault, and said to be"
    assert [path.name[16:20] for path in both.sources(tmp_path)] == ["A050", "A061", "A120", "A121"]
    assert (len(sixty.classes), len(both.classes)) == (60, 120)
    clips = {name: np.array([1]) for name in ("subject", "camera", "setup", "label")}
    assert (set(sixty.splits(clips)), set(both.splits(clips))) == ({"xsub", "xview"}, {"xsub", "xset"})
    (tmp_path / NAME).unlink()
    (tmp_path / NAME.replace("A050", "A121")).unlink()
    with pytest.raises(InputError, match="holds no clip of the actions A001 to A060"):
        NTUReader(actions=60).sources(tmp_path)
    with pytest.raises(InputError, match="actions"):
        load_reader("ntu", actions=61)
