"""The pictures that pre-training leaves in its folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jaxtyping import Int64
from torch import Tensor

from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.pictures import masks, reconstruction, saliency, smoothing
from masksem_graph.pictures.clip import show_clip
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
    shown = show_clip(source, clip, topology=task.student.topology)
    scored = semantic(task, lambda: average_motion(source, train))

    def of_saliency() -> list[Picture]:
        values = saliency.saliency(scored, shown)
        return saliency.saliency_pictures(shown, values, smoothing=operator_name(scored), moving=False)

    def of_smoothing() -> list[Picture]:
        by_operator = smoothing.before_and_after(scored, saliency.raw_saliency(scored, shown), shown)
        return smoothing.saliency_pictures(shown, by_operator, moving=False)

    def of_masks() -> list[Picture]:
        chosen = masks.strategies(task, scored)
        by_strategy = {name: masks.draw_masks(other, shown, seed=seed, draws=DRAWS) for name, other in chosen.items()}
        return masks.mask_pictures(shown, by_strategy, draws=DRAWS, moving=False)

    def of_reconstruction() -> list[Picture]:
        return reconstruction.reconstruction_pictures(shown, reconstruction.reconstruct(task, shown, seed=seed))

    kinds: dict[str, Callable[[], list[Picture]]] = {
        "saliency": of_saliency,
        "smoothing": of_smoothing,
        "masks": of_masks,
        "reconstruction": of_reconstruction,
    }
    written = []
    for name, draw in kinds.items():
        with drawing(name):
            written += write_pictures(draw(), folder)
    return written
