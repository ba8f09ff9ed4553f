"""Which class was taken for which, pixel by pixel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from psalm.evaluation.figures import mean

Pairs = Mapping[tuple[int, int], int]


def count_pairs(
    true: NDArray[np.integer], predicted: NDArray[np.integer], counted: NDArray[np.bool_] | None = None
) -> Counter[tuple[int, int]]:
    """Pixels by (true, predicted) value; 0 stands for no class.

    Parameters
    ----------
    true, predicted : (H, W) array of int
    counted : (H, W) array of bool, optional
        Pixels that count; all when not given.
    """
    chosen = slice(None) if counted is None else counted
    pairs, numbers = np.unique(np.stack([true[chosen].ravel(), predicted[chosen].ravel()]), axis=1, return_counts=True)
    return Counter(dict(zip(map(tuple, pairs.T.tolist()), numbers.tolist(), strict=True)))


def semantic_ious(pairs: Pairs) -> dict[int, float]:
    """IoU of each class that occurs in the truth."""
    true, predicted, both = _sums(pairs)
    return {i: both[i] / (true[i] + predicted[i] - both[i]) for i in true if i}


def semantic_figures(pairs: Pairs) -> dict[str, float | int | None]:
    """mIoU, IoU weighted by how frequent a class is, mean accuracy of a class, and the share of right pixels."""
    true, _, both = _sums(pairs)
    ious = semantic_ious(pairs)
    labelled = sum(n for label, n in true.items() if label)
    return {
        "categories": len(ious),
        "miou": mean(ious.values()),
        "frequency_weighted_iou": sum(true[i] * iou for i, iou in ious.items()) / labelled if labelled else None,
        "mean_accuracy": mean(both[i] / true[i] for i in ious),
        "pixel_accuracy": sum(both[i] for i in ious) / labelled if labelled else None,
    }


def _sums(pairs: Pairs) -> tuple[Counter[int], Counter[int], Counter[int]]:
    true: Counter[int] = Counter()
    predicted: Counter[int] = Counter()
    both: Counter[int] = Counter()
    for (true_label, predicted_label), n in pairs.items():
        true[true_label] += n
        predicted[predicted_label] += n
        if true_label == predicted_label:
            both[true_label] += n
    return true, predicted, both
