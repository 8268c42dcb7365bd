"""Which pictures a page shows, in which order, in which words."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from masksem_graph.report.page.folder import GIF_LIMIT, KNOWN, find_pictures, kind


def put(folder: Path, **sizes: int) -> None:
    """Files of so many bytes: ``saliency__png=10`` is figures/saliency.png."""
    (folder / "figures").mkdir(exist_ok=True)
    for name, size in sizes.items():
        (folder / "figures" / name.replace("__", ".")).write_bytes(b"x" * size)


def test_order_is_of_the_catalogue_then_of_the_alphabet(tmp_path: Path) -> None:
    put(tmp_path, zebra__png=1, apple__png=1, embedding__png=1, masks__png=1, smoothing_graphs__png=1, smoothing_clip__png=1)
    put(tmp_path, smoothing_matrices__png=1, saliency__png=1, saliency_kick__png=1, reconstruction__png=1)
    pictures = find_pictures(tmp_path, notes := [])
    assert [picture["name"] for picture in pictures] == [
        *("saliency", "saliency_kick", "smoothing_matrices", "smoothing_graphs", "smoothing_clip"),
        *("masks", "reconstruction", "embedding", "apple", "zebra"),
    ]
    assert not notes


@pytest.mark.parametrize(("png", "svg", "media"), [(10, 20, "image/png"), (20, 10, "image/svg+xml"), (10, 10, "image/png")])
def test_the_smaller_of_png_and_svg(tmp_path: Path, png: int, svg: int, media: str) -> None:
    put(tmp_path, masks__png=png, masks__svg=svg)
    (picture,) = find_pictures(tmp_path, [])
    assert picture["source"] == f"data:{media};base64,{base64.b64encode(b'x' * 10).decode()}"


@pytest.mark.parametrize("size", [GIF_LIMIT - 1, GIF_LIMIT])
def test_a_large_animation_is_linked(tmp_path: Path, size: int) -> None:
    put(tmp_path, masks__png=10, masks__gif=size)
    still, moving = find_pictures(tmp_path, [])
    assert still["source"] is not None and still["title"] == "Masks" and moving["title"] == "Masks, animated"
    assert (moving["source"] is None) == (size >= GIF_LIMIT)
    assert moving["link"] == "figures/masks.gif"


def test_titles(tmp_path: Path) -> None:
    put(tmp_path, saliency_pick_up__png=1, salience__png=1)
    known, unknown = find_pictures(tmp_path, [])
    assert (known["title"], known["caption"]) == ("Saliency: pick_up", KNOWN["saliency"][1])
    assert (unknown["title"], unknown["caption"]) == ("salience.png", "")


def test_what_is_no_picture_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, data__csv=5, masks__png=0, masks__svg=9)
    (tmp_path / "figures" / ".masks.png.77.partial").write_bytes(b"x")
    pictures = find_pictures(tmp_path, notes := [])
    assert [picture["name"] for picture in pictures] == ["masks"] and "svg" in (pictures[0]["source"] or "")
    assert notes == ["figures/masks.png: an empty file, left out"]
    assert find_pictures(tmp_path / "nowhere", []) == []


def test_pictures_deeper_down_keep_their_folder(tmp_path: Path) -> None:
    (tmp_path / "figures" / "more").mkdir(parents=True)
    (tmp_path / "figures" / "more" / "masks.PNG").write_bytes(b"x")
    (picture,) = find_pictures(tmp_path, [])
    assert picture["name"] == "more/masks" and picture["title"] == "masks.PNG" and picture["link"] == "figures/more/masks.PNG"


def test_kind_is_the_longest_that_fits() -> None:
    assert kind("smoothing_matrices_2") == "smoothing_matrices" and kind("smoothing_clip") == "smoothing"
    assert kind("smoothings") is None and kind("saliency") == "saliency"
