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

    def forward(self, logits: Tensor, states: Tensor, level: Tensor) -> Tensor:
        """Logits (N, 2h, 2w) of masks (N, h, w), given the decoder's states (N, C) and the level (channels, h, w)."""
        large = enlarge(logits)
        image = F.pixel_shuffle(self.image(self.norm(level.movedim(0, -1)).movedim(-1, 0)[None]), SCALE)[0]
        drawn = []
        for mask, state in zip(large, states, strict=True):
            box = _box_around(mask)
            drawn.append(mask if box is None else self._redrawn(mask, state, image, box))
        return torch.stack(drawn) if drawn else large

    def _redrawn(self, mask: Tensor, state: Tensor, image: Tensor, box: tuple[slice, slice]) -> Tensor:
        """The mask with another part in its box."""
        part = mask[box]
        scale, shift = self.style(state)[:, None, None].chunk(2)
        x = torch.cat([part[None].clamp(-_SURE, _SURE) / _REACH, image[(slice(None), *box)]])
        x = F.gelu(self.first(x) * (1 + scale) + shift)
        x = x + F.gelu(self.second(x))
        x = x + F.gelu(self.third(x))
        mask = mask.clone()
        mask[box] = part + _REACH * self.correction(x)[0].to(part.dtype)
        return mask


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
