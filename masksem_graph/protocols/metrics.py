"""Classification figures, through torchmetrics."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_recall,
)


def classification_figures(
    scores: Float[Tensor, "S classes"], labels: Int64[Tensor, " S"], classes: tuple[str, ...]
) -> dict[str, Any]:
    """Figures of one run, in per cent.

    Returns:
        ``top1``, ``top5``, ``mean_class_accuracy`` (over the classes that occur), ``per_class_recall`` by name (None for a
        class that does not occur), and ``confusion`` [true][predicted] in clips.
    """
    count = len(classes)
    scores, labels = scores.cpu().float(), labels.cpu()
    recall = multiclass_recall(scores, labels, num_classes=count, average="none").tolist()
    occurs = labels.bincount(minlength=count) > 0
    per_class = {name: 100 * value if there else None for name, value, there in zip(classes, recall, occurs, strict=True)}
    seen = [value for value in per_class.values() if value is not None]

    def accuracy(k: int) -> float:
        return 100 * multiclass_accuracy(scores, labels, num_classes=count, average="micro", top_k=min(k, count)).item()

    return {
        "top1": accuracy(1),
        "top5": accuracy(5),
        "mean_class_accuracy": sum(seen) / len(seen),
        "per_class_recall": per_class,
        "confusion": multiclass_confusion_matrix(scores, labels, num_classes=count).tolist(),
    }
