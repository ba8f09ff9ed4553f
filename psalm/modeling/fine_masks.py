"""Outlines at twice the decoder's resolution, drawn with the help of the encoder's early features.

What is thinner than two of the decoder's pixels, a twig or the gap between two windows, has no place in its masks. The
encoder's finest level still knows of it (as in HQ-SAM, Ke et al. 2023, section 3.2).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCALE = 2  # output pixels to one of the mask that is given
_WIDTH, _HIDDEN = 16, 24
_MARGIN = 10  # output pixels around a mask that may still become part of it
_SURE = 10.0  # beyond this a logit says no more
_REACH = 4.0  # logits come in, and corrections go out, in units of this


class FineMasks(nn.Module):
    """Correct masks at twice their resolution, each in its own box.

    It begins with no correction: the masks are enlarged, and nothing else.

    Parameters
    ----------
    dim : int
        Width of the decoder's states.
    channels : int
        Channels of the encoder's finest level, which is as large as the masks that are given.
    """

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.image = nn.Conv2d(channels, _WIDTH * SCALE**2, 1)
        self.style = nn.Linear(dim, 2 * _HIDDEN)
        self.first = nn.Conv2d(_WIDTH + 1, _HIDDEN, 3, padding=1)
        self.second = nn.Conv2d(_HIDDEN, _HIDDEN, 3, padding=2, dilation=2)
        self.third = nn.Conv2d(_HIDDEN, _HIDDEN, 3, padding=1)
        self.correction = nn.Conv2d(_HIDDEN, 1, 3, padding=1)
        for layer in (self.style, self.correction):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def forward(self, logits: Tensor, states: Tensor, level: Tensor, of: Tensor | None = None) -> Tensor:
        """Draw masks anew.

        Parameters
        ----------
        logits : (N, h, w) tensor
        states : (N, C) tensor
            The decoder's.
        level : (channels, h, w) or (B, channels, h, w) tensor
            Of one image, or of several.
        of : (N,) tensor, optional
            Which of several images each mask belongs to.

        Returns
        -------
        (N, 2h, 2w) tensor of logits
        """
        large = enlarge(logits)
        if not len(large):
            return large
        levels = level if level.ndim == 4 else level[None]
        of = torch.zeros(len(large), dtype=torch.long, device=large.device) if of is None else of
        if large.device.type != "cpu":
            return self._all_redrawn(large, states, self._image(levels)[of])
        each = zip(large, states, of.tolist(), strict=True)
        return torch.stack([self._redrawn(mask, state, levels[image]) for mask, state, image in each])

    def _image(self, levels: Tensor) -> Tensor:
        """What the encoder's finest level (B, channels, h, w) tells of an outline, (B, C, 2h, 2w)."""
        return F.pixel_shuffle(self.image(self.norm(levels.movedim(1, -1)).movedim(-1, 1)), SCALE)

    def _redrawn(self, mask: Tensor, state: Tensor, level: Tensor) -> Tensor:
        """The mask (2h, 2w) with another part in its box; of the level (channels, h, w) no more than this is read."""
        box = _box_around(mask)
        if box is None:
            return mask
        part, corner = mask[box], [side.start % SCALE for side in box]
        rows, columns = (slice(side.start // SCALE, -(-side.stop // SCALE)) for side in box)
        image = self._image(level[None, :, rows, columns])
        image = image[..., corner[0] : corner[0] + part.shape[0], corner[1] : corner[1] + part.shape[1]]
        change = self._correction(part[None], state[None], image)[0]
        mask = mask.clone()
        mask[box] = part + change.to(part.dtype)
        return mask

    def _all_redrawn(self, masks: Tensor, states: Tensor, images: Tensor) -> Tensor:
        """The same for masks (N, H, W) at once, where whole planes cost less than waiting for the size of each box."""
        boxes = _inside_boxes(masks)
        return masks + (self._correction(masks, states, images, boxes[:, None]) * boxes).to(masks.dtype)

    def _correction(self, masks: Tensor, states: Tensor, images: Tensor, within: Tensor | float = 1.0) -> Tensor:
        """What to add to logits (N, H, W); nothing is seen outside of `within` (N, 1, H, W), as outside of a crop."""
        scale, shift = self.style(states)[..., None, None].chunk(2, dim=1)
        x = torch.cat([masks[:, None].clamp(-_SURE, _SURE) / _REACH, images], dim=1) * within
        x = F.gelu(self.first(x) * (1 + scale) + shift) * within
        x = (x + F.gelu(self.second(x))) * within
        x = (x + F.gelu(self.third(x))) * within
        return _REACH * self.correction(x)[:, 0]


def enlarge(logits: Tensor) -> Tensor:
    """Masks (N, h, w) at twice their resolution, (N, 2h, 2w)."""
    return F.interpolate(logits[:, None], scale_factor=SCALE, mode="bilinear", align_corners=False)[:, 0]


def _box_around(mask: Tensor) -> tuple[slice, slice] | None:
    """Rows and columns of a mask's logits (h, w) that hold it, and some more; None when it is empty."""
    inside = mask > 0
    slices = []
    for occupied in (inside.any(1), inside.any(0)):
        places = occupied.nonzero().flatten()
        if not len(places):
            return None
        slices.append(slice(max(int(places[0]) - _MARGIN, 0), int(places[-1]) + 1 + _MARGIN))
    return slices[0], slices[1]


def _inside_boxes(masks: Tensor) -> Tensor:
    """1 within the boxes of `_box_around`, 0 elsewhere, for masks (N, H, W) of logits."""
    sides = []
    for occupied in ((masks > 0).any(2), (masks > 0).any(1)):
        near = F.max_pool1d(occupied[:, None].to(masks.dtype), 2 * _MARGIN + 1, 1, _MARGIN)[:, 0]
        # From the first to the last place: what lies between two parts of a mask belongs to its box.
        sides.append(torch.minimum(near.cummax(1).values, near.flip(1).cummax(1).values.flip(1)))
    return sides[0][:, :, None] * sides[1][:, None]
