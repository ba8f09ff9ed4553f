"""The proposals of one image, brought to the original size one at a time and only where there is something."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import threshold

from psalm.cutouts import Cutout
from psalm.decoding.resizing import Box, clipped, grown_box, positive_box, resize, resize_bands, resize_part, widened
from psalm.image_transform import Frame

# Logits that a pixel outside of the box that was asked for must have more than one inside. Chosen on training images:
# outlines get better for exact boxes and for boxes drawn in haste alike, whose object reaches beyond them.
_OUTSIDE = 1.0


class QueryMasks:
    """The masks of one image's queries.

    All of them at the original size would fill the memory for large images, so masks are upsampled when asked for, and
    kept in their own boxes.

    Parameters
    ----------
    logits : (Q, h, w) tensor
        On the padded model image.
    frame : Frame
        Where the image lies on it.
    quality : (Q,) tensor, optional
        The generator's estimate of each mask's IoU; it takes the place of the mask score.
    box : tuple of int, optional
        See `heeding`.
    """

    def __init__(self, logits: Tensor, frame: Frame, quality: Tensor | None = None, box: Box | None = None) -> None:
        self._logits = logits  # each is made single precision when it is looked at
        self._frame = frame
        self._quality = None if quality is None else quality.float()
        self._box = box
        self._looked: dict[int, tuple[Cutout | None, float]] = {}

    def __len__(self) -> int:
        return len(self._logits)

    @property
    def frame(self) -> Frame:
        """Where the image lies on the model image."""
        return self._frame

    def heeding(self, box: Box) -> QueryMasks:
        """The same masks, of which only what is rather sure lies outside of a box (row0, column0, row1, column1)."""
        return QueryMasks(self._logits, self._frame, self._quality, box)

    def on_model_image(self, start: int, stop: int) -> Tensor:
        """Logits (stop - start, S, S) of some queries on the padded model image."""
        return resize(self._logits[start:stop].float(), (self._frame.size, self._frame.size))

    def to_original(self, maps: Tensor) -> Tensor:
        """Maps (N, S, S) on the model image -> (N, H, W) at the original size."""
        height, width = self._frame.resized
        return resize(maps[:, :height, :width], self._frame.original)

    def logits(self, query: int) -> Tensor:
        """Logits (H, W) of one query at the original size."""
        return self.to_original(self.on_model_image(query, query + 1))[0]

    def mask(self, query: int) -> Tensor:
        """Mask (H, W) of one query at the original size."""
        cutout = self.look(query)[0]
        if cutout is None:
            return torch.zeros(self._frame.original, dtype=torch.bool, device=self._logits.device)
        return torch.from_numpy(cutout.full(self._frame.original)).to(self._logits.device)

    def score(self, query: int) -> float:
        """How good the mask is: its quality, or else its mean probability; 0 when it is empty."""
        return self.look(query)[1]

    def look(self, query: int) -> tuple[Cutout | None, float]:
        """Mask (None when it is empty) and score of one query, upsampled once for both."""
        if query not in self._looked:
            cutout, probability = self._upsample(query)
            score = 0.0
            if cutout is not None:
                score = probability / (cutout.area + 1e-6) if self._quality is None else float(self._quality[query])
            self._looked[query] = cutout, score
        return self._looked[query]

    def bounds(self, relevance: Tensor) -> Tensor:
        """What relevance times mask score can be at most, (Q, ...) like `relevance`, known without any mask."""
        if self._quality is None:
            # Upsampling goes beyond no value, rounding aside.
            most = self._logits.amax(dim=(1, 2)).float().sigmoid() * (1 + 1e-5)
        else:
            most = self._quality
        return relevance * most.view(-1, *[1] * (relevance.ndim - 1))

    def best(self, relevance: Tensor) -> tuple[int, float]:
        """The query with the best relevance times mask score, and that score.

        Exact, though few masks are looked at: the search ends where no later query can win.

        Parameters
        ----------
        relevance : (Q,) tensor
            0 to 1.
        """
        bounds = self.bounds(relevance)
        best, best_score = -1, -1.0
        for query in torch.argsort(bounds, descending=True, stable=True).tolist():
            if float(bounds[query]) <= best_score:
                break
            score = float(relevance[query]) * self.score(query)
            if score > best_score:
                best, best_score = query, score
        return best, best_score

    @property
    def judged(self) -> bool:
        """Whether the generator says how good each mask is."""
        return self._quality is not None

    def first(self, order: Tensor) -> int:
        """The query that is highest in an order (Q,), of those whose mask is not empty."""
        queries: list[int] = torch.argsort(order, descending=True, stable=True).tolist()
        return next((query for query in queries if self.look(query)[0] is not None), queries[0])

    def _upsample(self, query: int) -> tuple[Cutout | None, float]:
        """The mask of one query in its box at the original size, and the sum of its probabilities."""
        frame, coarse = self._frame, self._logits[query].float()
        near = positive_box(coarse)
        square = (frame.size, frame.size)
        inside = near and clipped(grown_box(near, (coarse.shape[0], coarse.shape[1]), square), frame.resized)
        box = inside and clipped(grown_box(inside, frame.resized, frame.original), frame.original)
        if inside is None or box is None:
            return None, 0.0
        # What is further from the mask than two pixels cannot make anything positive, whatever its value.
        around = widened(inside, 2, frame.resized)
        model_image = coarse.new_full(frame.resized, -1.0)
        model_image[around[0] : around[2], around[1] : around[3]] = resize_part(coarse, square, around)
        mask = np.zeros((box[2] - box[0], box[3] - box[1]), dtype=bool)
        total = 0.0
        for rows, logits in resize_bands(model_image, frame.original, box):
            if self._box:
                _lower_outside(logits, (box[0] + rows.start, box[1]), self._box)
            mask[rows] = _positive(logits)
            if self._quality is None:
                # Rows are short enough for single precision, their sums are not.
                total += float(threshold(logits.sigmoid_(), 0.5, 0.0, inplace=True).sum(dim=1).double().sum())
        return Cutout.from_mask(mask, (box[0], box[1])), total


def _lower_outside(logits: Tensor, corner: tuple[int, int], box: Box) -> None:
    """Lower those of the logits (h, w), whose first pixel is at `corner` of the image, that lie outside of a box."""
    low, high = (
        [max(place - start, 0) for place, start in zip(ends, corner, strict=True)] for ends in (box[:2], box[2:])
    )
    inside = logits[low[0] : high[0], low[1] : high[1]]
    kept = inside.clone()
    logits -= _OUTSIDE
    inside.copy_(kept)


def _positive(logits: Tensor) -> NDArray[np.bool_]:
    """Where logits are above zero."""
    # On a CPU numpy compares ten times as fast as torch does.
    return logits.numpy() > 0 if logits.device.type == "cpu" else (logits > 0).cpu().numpy()
