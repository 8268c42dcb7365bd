"""Classification figures, through torchmetrics, and how far they can be trusted."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_confusion_matrix, multiclass_recall

RESAMPLES = 10_000


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
    top1, top5 = (
        100 * multiclass_accuracy(scores, labels, num_classes=count, average="micro", top_k=min(k, count)).item()
        for k in (1, 5)
    )
    return {
        "top1": top1,
        "top5": top5,
        "mean_class_accuracy": sum(seen) / len(seen),
        "per_class_recall": per_class,
        "confusion": multiclass_confusion_matrix(scores, labels, num_classes=count).tolist(),
    }


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of several runs as one: numbers become their mean, the confusion matrices are added up.

    Returns:
        the figures, with ``mean`` and ``std`` (of the sample; None for a single run) of ``top1``, and ``top1_by_seed``.
    """
    top1 = [run["top1"] for run in runs]
    return {
        **{name: _mean([run[name] for run in runs]) for name in runs[0]},
        "confusion": np.sum([run["confusion"] for run in runs], axis=0).tolist(),
        "mean": statistics.fmean(top1),
        "std": statistics.stdev(top1) if len(top1) > 1 else None,
        "top1_by_seed": top1,
    }


def _mean(values: list[Any]) -> Any:
    if isinstance(values[0], dict):
        return {name: _mean([value[name] for value in values]) for name in values[0]}
    return None if values[0] is None else np.mean(values, axis=0).tolist()


def bootstrap_interval(correct: Bool[np.ndarray, "runs S"], *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean accuracy in per cent: percentile bootstrap over test clips (Efron, 1979).

    The training runs are held fixed: it says how much the figure owes to the choice of test clips.
    ``correct`` says whether each run got each test clip right, ``seed`` is of the resampling.
    """
    per_clip = correct.mean(0)
    values, counts = np.unique(per_clip, return_counts=True)
    # Clips of equal accuracy are alike: drawing S clips with replacement is one multinomial draw over the few values.
    drawn = np.random.default_rng(seed).multinomial(len(per_clip), counts / counts.sum(), size=RESAMPLES)
    low, high = np.percentile(100 * drawn @ values / len(per_clip), [2.5, 97.5])
    return float(low), float(high)
