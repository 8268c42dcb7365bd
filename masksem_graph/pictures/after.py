"""The pictures that pre-training leaves in its folder."""

from pathlib import Path

from jaxtyping import Int64
from torch import Tensor

from masksem_graph.data.loader import SkeletonLoader
from masksem_graph.pictures import masks, reconstruction, saliency
from masksem_graph.pictures.clip import show_clip
from masksem_graph.pictures.picture import write_pictures
from masksem_graph.pictures.tasks import average_motion, operator_name, semantic
from masksem_graph.report.figures import drawing
from masksem_graph.tasks.pretrain import Pretrain

DRAWS = 200


def draw_training(
    task: Pretrain, source: SkeletonLoader, *, train: Int64[Tensor, " train"], clip: int, folder: Path, seed: int = 0
) -> list[Path]:
    """Draw saliency, smoothing, masks and reconstruction of one clip, standing still, into ``folder``.

    Clips are positions in the store. The task is left in eval mode. A kind that cannot be drawn is told of in one line.
    """
    task.eval()
    written: list[Path] = []
    with drawing("pictures of a clip"):
        shown = show_clip(source, clip, topology=task.student.topology)
        scored = semantic(task, lambda: average_motion(source, train))
        with drawing("saliency"):
            values = saliency.saliency(scored, shown)
            pictures = saliency.saliency_pictures(shown, values, smoothing=operator_name(scored.operator), moving=False)
            written += write_pictures(pictures, folder)
        with drawing("smoothing"):
            both = saliency.before_and_after(scored, saliency.raw_saliency(scored, shown), shown)
            written += write_pictures(saliency.smoothing_pictures(shown, both, moving=False), folder)
        with drawing("masks"):
            chosen = masks.strategies(task, scored)
            found = {name: masks.draw_masks(other, shown, seed=seed, draws=DRAWS) for name, other in chosen.items()}
            written += write_pictures(masks.mask_pictures(shown, found, draws=DRAWS, moving=False), folder)
        with drawing("reconstruction"):
            targets = reconstruction.reconstruct(task, shown, seed=seed)
            written += write_pictures(reconstruction.reconstruction_pictures(shown, targets), folder)
    return written
