"""The pictures of a folder: which, in which order, with which words, and inlined how."""

from __future__ import annotations

import base64
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

FIGURES = "figures"
GIF_LIMIT = 2_000_000  # bytes; a larger animation is linked
MEDIA = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
MEDIA[".gif"] = "image/gif"
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
    "variants": ("Variants", "Every run is a point; mean and standard deviation over the seeds."),
    "embedding": ("Embedding", "Clips in two dimensions, by the mean of their node features."),
}
"""Name -> title and caption, in the order of the page. A name with more after ``_`` is the same kind of picture."""


def find_pictures(folder: Path, notes: list[str]) -> list[dict[str, Any]]:
    """The pictures below a folder's ``figures``, in the order of `KNOWN`, unknown ones last.

    A still picture that is there as PNG and as SVG is shown as the smaller of the two, after it an animation of the same name.

    Returns:
        for each its name, kind, title, caption, ``source`` (a data URI, or None where it is linked), link and size in bytes;
        a note is added on each file that is empty.
    """
    by_name: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in _files(folder):
        if path.stat().st_size == 0:
            notes.append(f"{path.relative_to(folder)}: an empty file, left out")
        else:
            by_name[_name(folder, path)][path.suffix.lower()] = path
    found = []
    for name in sorted(by_name, key=lambda name: (list(KNOWN).index(known) if (known := kind(name)) else len(KNOWN), name)):
        moving = by_name[name].pop(".gif", None)
        # Of two of one size the PNG.
        stills = sorted(by_name[name].values(), key=lambda path: (path.stat().st_size, list(MEDIA).index(path.suffix.lower())))
        found += [_picture(folder, name, path) for path in (*stills[:1], *([moving] if moving else []))]
    return found


def clear_pictures(folder: Path) -> None:
    """Remove a folder's pictures of the kinds in `KNOWN`, so that none of an earlier run is taken for a new one's."""
    for path in _files(folder):
        if kind(_name(folder, path)) is not None:
            path.unlink()


def kind(name: str) -> str | None:
    """The longest name of `KNOWN` that a picture's name is or begins with; None for an unknown picture."""
    fitting = [known for known in KNOWN if name == known or name.startswith(f"{known}_")]
    return max(fitting, key=len, default=None)


def _files(folder: Path) -> list[Path]:
    """The pictures, hidden files aside."""
    below = sorted((folder / FIGURES).rglob("*"))
    return [path for path in below if path.is_file() and path.suffix.lower() in MEDIA and not path.name.startswith(".")]


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder / FIGURES).with_suffix("").as_posix()


def _picture(folder: Path, name: str, path: Path) -> dict[str, Any]:
    moving, known = path.suffix.lower() == ".gif", kind(name)
    title, caption = KNOWN[known] if known else (path.name, "")
    if known and (rest := name.removeprefix(known).strip("_")):
        title += f": {rest}"
    source = None
    if not moving or path.stat().st_size < GIF_LIMIT:
        source = f"data:{MEDIA[path.suffix.lower()]};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
    return {
        "name": name,
        "kind": known,
        "title": f"{title}, animated" if moving else title,
        "caption": caption,
        "source": source,
        "link": quote(path.relative_to(folder).as_posix(), errors="surrogateescape"),
        "size": path.stat().st_size,
    }
