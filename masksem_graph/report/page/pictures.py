"""The pictures of a folder: which, in which order, with which words, and inlined how."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

FIGURES = "figures"
GIF_LIMIT = 2_000_000  # bytes; a larger animation is linked
STILL = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
KNOWN = {
    "curves": ("Curves", "Loss and the accuracy of the nearest neighbours, epoch by epoch."),
    "confusion": ("Confusion", "Rows are true classes, columns what was predicted; the diagonal is right."),
    "saliency": (
        "Saliency",
        "How much each joint, segment by segment, sets a clip apart from the average motion. Masks are drawn from it.",
    ),
    "smoothing_matrices": ("Smoothing, as matrices", "How much of a joint's saliency each other joint receives."),
    "smoothing_graphs": ("Smoothing, on the skeleton", "The same weights, along the edges of the skeleton graph."),
    "smoothing_impulse": ("Smoothing, of one joint", "Where the saliency of a single joint goes."),
    "smoothing": ("Smoothing", "Saliency before and after it is spread over the skeleton graph."),
    "masks": ("Masks", "What each strategy hides: one draw, and how often each node is hidden over many, next to what moved."),
    "reconstruction": ("Reconstruction", "What hidden nodes do, and what the network says that they do."),
    "embedding": ("Embedding", "Clips in two dimensions, by the mean of their node features."),
}
"""Name -> title and caption, in the order of the page. A name with more after ``_`` is the same kind of picture."""


@dataclass(frozen=True)
class Picture:
    """A picture on a page, inlined or linked.

    Args:
        name: of the file, without its ending; slashes where it lies deeper.
        title, caption: over and under it.
        source: a data URI; None where the picture is linked.
        link: the file, relative to the page, where it is not inlined.
        size: of the file, in bytes.
    """

    name: str
    title: str
    caption: str
    source: str | None
    link: str
    size: int

    @property
    def alt(self) -> str:
        """What stands in for the picture where it cannot be seen."""
        return f"{self.title}: {self.caption}" if self.caption else self.title


def find_pictures(folder: Path) -> tuple[list[Picture], list[str]]:
    """The pictures below a folder's ``figures``, in the order of `KNOWN`, unknown ones last.

    A still picture that is there as PNG and as SVG is shown as the smaller of the two, after it an animation of the same name.

    Returns:
        the pictures, and a note on each file that is none.
    """
    by_name: dict[str, dict[str, Path]] = defaultdict(dict)
    notes = []
    for path in _files(folder / FIGURES):
        if (ending := _ending(path)) is None:
            continue
        if path.stat().st_size == 0:
            notes.append(f"{path.relative_to(folder)}: an empty file, left out")
            continue
        by_name[_name(folder, path)][ending] = path
    pictures: list[Picture] = []
    for name in sorted(by_name, key=_place):
        pictures += _pictures(folder, name, by_name[name])
    return pictures, notes


def clear_pictures(folder: Path) -> None:
    """Remove a folder's pictures of the kinds in `KNOWN`, so that none of an earlier run is taken for a new one's."""
    for path in _files(folder / FIGURES):
        if _ending(path) is not None and kind(_name(folder, path)) is not None:
            path.unlink()


def of_kind(pictures: Iterable[Picture], *kinds: str) -> list[Picture]:
    """Those that `KNOWN` lists under these names."""
    return [picture for picture in pictures if kind(picture.name) in kinds]


def kind(name: str) -> str | None:
    """The longest name of `KNOWN` that a picture's name is or begins with; None for an unknown picture."""
    fitting = [known for known in KNOWN if name == known or name.startswith(f"{known}_")]
    return max(fitting, key=len, default=None)


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]


def _ending(path: Path) -> str | None:
    """In small letters; None where the file is no picture."""
    ending = path.suffix.lower()
    return ending if ending in STILL or ending == ".gif" else None


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder / FIGURES).with_suffix("").as_posix()


def _place(name: str) -> tuple[int, str]:
    found = kind(name)
    return (len(KNOWN) if found is None else list(KNOWN).index(found), name)


def _pictures(folder: Path, name: str, files: dict[str, Path]) -> Iterator[Picture]:
    stills = sorted((files[ending] for ending in STILL if ending in files), key=lambda path: path.stat().st_size)
    if stills:
        yield _picture(folder, name, stills[0], inline=True)
    if (animation := files.get(".gif")) is not None:
        yield _picture(folder, name, animation, inline=animation.stat().st_size < GIF_LIMIT)


def _picture(folder: Path, name: str, path: Path, *, inline: bool) -> Picture:
    moving = path.suffix.lower() == ".gif"
    title, caption = _words(name, path)
    source = None
    if inline:
        media = "image/gif" if moving else STILL[path.suffix.lower()]
        source = f"data:{media};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
    link = quote(path.relative_to(folder).as_posix(), errors="surrogateescape")
    return Picture(name, f"{title}, animated" if moving else title, caption, source, link, path.stat().st_size)


def _words(name: str, path: Path) -> tuple[str, str]:
    found = kind(name)
    if found is None:
        return path.name, ""
    title, caption = KNOWN[found]
    rest = name.removeprefix(found).strip("_").replace("_", " ")
    return (f"{title}: {rest}" if rest else title), caption
