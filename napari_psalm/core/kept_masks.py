"""The masks of one prediction, kept so that they can be cut anew at any threshold without the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.image_transform import Frame

LOWEST_PROBABILITY = 0.1
"""Pixels with less are not kept, so no mask threshold can be lower."""
HIGHEST_PROBABILITY = 0.9
_LEVELS = 16  # per unit of the logit
_FARTHEST = 7.9
_LOWEST = np.log(LOWEST_PROBABILITY / (1 - LOWEST_PROBABILITY))
_PROBABILITIES = (1 / (1 + np.exp(-(np.arange(256) - 128) / _LEVELS))).astype(np.float32)


@dataclass(frozen=True)
class Crop:
    """The part of a mask proposal that may become a mask.

    Parameters
    ----------
    row, column : int
        Where the first pixel lies.
    levels : (h, w) array of int8
        Logits in steps of 1/16, rounded up, so that positive ones stay positive.
    """

    row: int
    column: int
    levels: NDArray[np.int8]

    def at_least(self, probability: float) -> NDArray[np.bool_]:
        """The pixels with more than this probability, (h, w)."""
        return np.asarray(self.levels > round(float(np.log(probability / (1 - probability))) * _LEVELS))

    def probabilities(self) -> NDArray[np.float32]:
        """The probability of each pixel, (h, w)."""
        return _PROBABILITIES[self.levels.astype(np.int16) + 128]


class KeptMasks:
    """Mask proposals of one image, brought to its size where they are needed.

    Parameters
    ----------
    logits : (Q, h, w) array of float
        On the padded model image.
    frame : Frame
        Where the image lies on the model image.
    """

    def __init__(self, logits: NDArray[np.float32], frame: Frame) -> None:
        self.logits, self.shape = logits, frame.original
        height, width = frame.original
        self._rows = _Upsampling(height, frame.resized[0], frame.size, logits.shape[1])
        self._columns = _Upsampling(width, frame.resized[1], frame.size, logits.shape[2])
        self._crops: dict[int, Crop | None] = {}
        # The cells that the image covers, and how many of its pixels each stands for.
        covered = [frame.resized[i] * logits.shape[i + 1] / frame.size for i in (0, 1)]
        self._inside = tuple(slice(0, max(round(length), 1)) for length in covered)
        self._cell_area = height * width / (covered[0] * covered[1])

    def __len__(self) -> int:
        return len(self.logits)

    def crop(self, query: int) -> Crop | None:
        """The part of a proposal that any threshold can choose; None when there is none."""
        if query not in self._crops:
            self._crops[query] = self._cut(query)
        return self._crops[query]

    def mean_probability(self, query: int, mask: NDArray[np.bool_]) -> float:
        """The mean probability of a proposal over a mask of its crop; exact, while the crop is in steps."""
        found = self._upsample(query)
        return 0.0 if found is None else float((0.5 * (1 + np.tanh(0.5 * found[2][mask]))).mean())

    def faint_wins(self, queries: list[int], scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """About how many pixels each proposal wins by probability times score where no crop reaches, (N,)."""
        logits = self.logits[queries][:, self._inside[0], self._inside[1]]
        weighted = 0.5 * (1 + np.tanh(0.5 * logits)) * scores[queries, None, None]
        winner = weighted.argmax(axis=0)
        faint = np.take_along_axis(logits, winner[None], axis=0)[0] <= _LOWEST
        return np.bincount(winner[faint], minlength=len(queries)) * self._cell_area

    def _cut(self, query: int) -> Crop | None:
        found = self._upsample(query)
        if found is None:
            return None
        row, column, values = found
        levels = np.ceil(np.clip(values, -_FARTHEST, _FARTHEST) * _LEVELS).astype(np.int8)
        return Crop(row, column, levels)

    def _upsample(self, query: int) -> tuple[int, int, NDArray[np.float32]] | None:
        """Logits where any threshold can choose them, and the place of the first."""
        logits = self.logits[query]
        high = logits > _LOWEST
        cells = [np.flatnonzero(high.any(axis=axis)) for axis in (1, 0)]
        if not len(cells[0]):
            return None
        rows, from_rows = self._rows.touched_by(cells[0][0], cells[0][-1])
        columns, from_columns = self._columns.touched_by(cells[1][0], cells[1][-1])
        if rows.stop <= rows.start or columns.stop <= columns.start:
            return None
        down, across = self._rows.matrix[rows, from_rows], self._columns.matrix[columns, from_columns]
        return rows.start, columns.start, down @ logits[from_rows, from_columns] @ across.T


def to_array(tensor: Any) -> NDArray[np.float32]:
    """A tensor, wherever it is, as an array in memory."""
    return np.asarray(tensor.detach().float().cpu().numpy(), dtype=np.float32)


class _Upsampling:
    """What brings cells of the proposals to pixels of the image, as decoding does: by way of the model image."""

    def __init__(self, original: int, resized: int, size: int, cells: int) -> None:
        below, above, share = _between((np.arange(resized) + 0.5) * cells / size - 0.5, cells)
        to_model = np.zeros((resized, cells), dtype=np.float32)
        at = np.arange(resized)
        to_model[at, below] = 1 - share
        to_model[at, above] += share
        below, above, share = _between((np.arange(original) + 0.5) * resized / original - 0.5, resized)
        self.matrix = (1 - share)[:, None] * to_model[below] + share[:, None] * to_model[above]
        used = self.matrix > 0
        self._first, self._last = used.argmax(axis=1), cells - 1 - used[:, ::-1].argmax(axis=1)

    def touched_by(self, first: int, last: int) -> tuple[slice, slice]:
        """The pixels that cells from `first` to `last` reach, and all cells that reach those pixels."""
        start = int(np.searchsorted(self._last, first, side="left"))
        stop = int(np.searchsorted(self._first, last, side="right"))
        if stop <= start:
            return slice(0, 0), slice(0, 0)
        return slice(start, stop), slice(int(self._first[start]), int(self._last[stop - 1]) + 1)


def _between(
    places: NDArray[np.float64], length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The samples, of `length`, below and above each place, and the share of the upper one."""
    places = np.clip(places, 0, length - 1)
    below = np.floor(places).astype(np.int64)
    return below, np.minimum(below + 1, length - 1), (places - below).astype(np.float32)
