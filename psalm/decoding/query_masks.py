"""The proposals of one image, brought to the original size one at a time."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from psalm.image_transform import Frame


class QueryMasks:
    """The masks of one image's queries.

    All of them at the original size would fill the memory for large images, so masks are upsampled when asked for.

    Parameters
    ----------
    logits : (Q, h, w) tensor
        On the padded model image.
    frame : Frame
        Where the image lies on it.
    quality : (Q,) tensor, optional
        The generator's estimate of each mask's IoU; it takes the place of the mask score.
    """

    def __init__(self, logits: Tensor, frame: Frame, quality: Tensor | None = None) -> None:
        self._logits = logits.float()
        self._frame = frame
        self._quality = None if quality is None else quality.float()
        self._scores: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._logits)

    @property
    def frame(self) -> Frame:
        """Where the image lies on the model image."""
        return self._frame

    def on_model_image(self, start: int, stop: int) -> Tensor:
        """Logits (stop - start, S, S) of some queries on the padded model image."""
        return _resize(self._logits[start:stop], (self._frame.size, self._frame.size))

    def to_original(self, maps: Tensor) -> Tensor:
        """Maps (N, S, S) on the model image -> (N, H, W) at the original size."""
        height, width = self._frame.resized
        return _resize(maps[:, :height, :width], self._frame.original)

    def logits(self, query: int) -> Tensor:
        """Logits (H, W) of one query at the original size."""
        return self.to_original(self.on_model_image(query, query + 1))[0]

    def mask(self, query: int) -> Tensor:
        """Mask (H, W) of one query at the original size."""
        return self.logits(query) > 0

    def score(self, query: int) -> float:
        """How good the mask is: its quality, or else its mean probability; 0 when it is empty."""
        return self._scores[query] if query in self._scores else self.look(query)[1]

    def look(self, query: int) -> tuple[Tensor, float]:
        """Mask (H, W) and score of one query, upsampled once for both."""
        logits = self.logits(query)
        mask = logits > 0
        score = 0.0
        if mask.any():
            area = mask.sum() + 1e-6
            score = float((logits.sigmoid() * mask).sum() / area if self._quality is None else self._quality[query])
        self._scores[query] = score
        return mask, score

    def bounds(self, relevance: Tensor) -> Tensor:
        """What relevance times mask score can be at most, (Q, ...) like `relevance`, known without any mask."""
        if self._quality is None:
            return relevance
        return relevance * self._quality.view(-1, *[1] * (relevance.ndim - 1))

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


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]
