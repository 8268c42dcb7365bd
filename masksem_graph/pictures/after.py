"""The pictures that pre-training and evaluation leave in their folders."""

from __future__ import annotations

from pathlib import Path

from jaxtyping import Int64
from torch import Tensor

from masksem_graph.data.clips import ClipSource
from masksem_graph.pictures import masks, reconstruction, saliency, smoothing
from masksem_graph.pictures.clip import show_clip
from masksem_graph.pictures.picture import write_pictures
from masksem_graph.pictures.tasks import average_motion, semantic
from masksem_graph.tasks.pretrain import Pretrain

DRAWS = 200


def draw_training(
    task: Pretrain, source: ClipSource, *, train: Int64[Tensor, " train"], clip: int, folder: Path, seed: int = 0
) -> list[Path]:
    """Saliency, smoothing, masks and reconstruction of one clip, standing still.

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
    topology = task.student.topology
    shown = show_clip(source, clip, topology=topology)
    scored = semantic(task, lambda: average_motion(source, train))
    eta = saliency.raw_saliency(scored, shown)
    by_operator = smoothing.before_and_after(scored, eta)
    by_strategy = {
        name: masks.draw_masks(other, shown, seed=seed, draws=DRAWS) for name, other in masks.strategies(task, scored).items()
    }
    pictures = [
        *saliency.saliency_pictures(shown, saliency.saliency(scored, shown), moving=False),
        *smoothing.saliency_pictures(shown, by_operator, moving=False),
        *masks.mask_pictures(shown, by_strategy, draws=DRAWS, moving=False),
        *reconstruction.reconstruction_pictures(shown, reconstruction.reconstruct(task, shown, seed=seed)),
    ]
    return write_pictures(pictures, folder)
