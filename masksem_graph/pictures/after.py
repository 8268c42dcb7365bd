"""The pictures that pre-training leaves in its folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jaxtyping import Int64
from torch import Tensor

from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.pictures import masks, reconstruction, saliency, smoothing
from masksem_graph.pictures.clip import ShownClip, show_clip
from masksem_graph.pictures.picture import Picture, write_pictures
from masksem_graph.pictures.tasks import average_motion, operator_name, semantic
from masksem_graph.report.figures import drawing
from masksem_graph.tasks.pretrain import Pretrain

DRAWS = 200


def draw_training(
    task: Pretrain, source: SkeletonLoader, *, train: Int64[Tensor, " train"], clip: int, folder: Path, seed: int = 0
) -> list[Path]:
    """Saliency, smoothing, masks and reconstruction of one clip, standing still.

    A kind that cannot be drawn is told of in one line; the others are drawn.

    Args:
        task: trained; it is left in eval mode.
        source: reads the run's clips.
        train: that it was trained on.
        clip: which to draw, a position in the store.
        folder: where the pictures go.
        seed: of the masks.

    Returns:
        the files.
    """
    task.eval()
    written: list[Path] = []
    with drawing("pictures of a clip"):
        shown = show_clip(source, clip, topology=task.student.topology)
        scored = semantic(task, lambda: average_motion(source, train))
        for name, draw in _kinds(task, scored, shown, seed).items():
            with drawing(name):
                written += write_pictures(draw(), folder)
    return written


def _kinds(task: Pretrain, scored: Pretrain, clip: ShownClip, seed: int) -> dict[str, Callable[[], list[Picture]]]:
    """What draws each kind of picture."""

    def of_saliency() -> list[Picture]:
        values = saliency.saliency(scored, clip)
        return saliency.saliency_pictures(clip, values, smoothing=operator_name(scored), moving=False)

    def of_smoothing() -> list[Picture]:
        by_operator = smoothing.before_and_after(scored, saliency.raw_saliency(scored, clip), clip)
        return smoothing.saliency_pictures(clip, by_operator, moving=False)

    def of_masks() -> list[Picture]:
        chosen = masks.strategies(task, scored)
        by_strategy = {name: masks.draw_masks(other, clip, seed=seed, draws=DRAWS) for name, other in chosen.items()}
        return masks.mask_pictures(clip, by_strategy, draws=DRAWS, moving=False)

    def of_reconstruction() -> list[Picture]:
        return reconstruction.reconstruction_pictures(clip, reconstruction.reconstruct(task, clip, seed=seed))

    return {"saliency": of_saliency, "smoothing": of_smoothing, "masks": of_masks, "reconstruction": of_reconstruction}
