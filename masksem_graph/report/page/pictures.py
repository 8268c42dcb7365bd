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
    """The pictures below a folder's ``figures``, in the order of `KNOWN`, unknown ones last; a note on each empty file.

    A still picture that is there as PNG and as SVG is shown as the smaller of the two, after it an animation of the same name.
    ``source`` is a data URI, or None where the picture is linked.
    """
    by_name: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in sorted((folder / FIGURES).rglob("*")):
        if not path.is_file() or path.suffix.lower() not in MEDIA or path.name.startswith("."):
            continue
        if path.stat().st_size == 0:
            notes.append(f"{path.relative_to(folder)}: an empty file, left out")
        else:
            by_name[path.relative_to(folder / FIGURES).with_suffix("").as_posix()][path.suffix.lower()] = path
    order, found = list(KNOWN), []
    for name in sorted(by_name, key=lambda name: (order.index(known) if (known := kind(name)) else len(order), name)):
        moving = by_name[name].pop(".gif", None)
        # Of two of one size the PNG.
        stills = sorted(by_name[name].values(), key=lambda path: (path.stat().st_size, list(MEDIA).index(path.suffix.lower())))
        found += [_picture(folder, name, path) for path in (*stills[:1], moving) if path is not None]
    return found


def kind(name: str) -> str | None:
    """The longest name of `KNOWN` that a picture's name is or begins with; None for an unknown picture."""
    return max((known for known in KNOWN if f"{name}_".startswith(f"{known}_")), key=len, default=None)


def _picture(folder: Path, name: str, path: Path) -> dict[str, Any]:
    ending, size, known = path.suffix.lower(), path.stat().st_size, kind(name)
    title, caption = KNOWN[known] if known else (path.name, "")
    if known and (rest := name.removeprefix(known).strip("_")):
        title += f": {rest}"
    linked = ending == ".gif" and size >= GIF_LIMIT
    return {
        "name": name,
        "kind": known,
        "title": f"{title}, animated" if ending == ".gif" else title,
        "caption": caption,
        "source": None if linked else f"data:{MEDIA[ending]};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}",
        "link": quote(path.relative_to(folder).as_posix(), errors="surrogateescape"),
        "size": size,
    }
