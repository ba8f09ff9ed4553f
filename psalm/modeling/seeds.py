"""Where to look for objects: a map of their centres, how far the object at each place reaches, and seeds from both.

A long or a large object has several peaks in the map of centres. Those that tell of the same box are looked at once, so
that the places which a model may look at go further.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from psalm.modeling.box_agreement import iou_of_boxes

STRIDE = 4
_SIDES = 4  # up, left, down, right
_CANDIDATES = 4  # times as many peaks as are picked
_SAME = 0.5  # IoU of the boxes of two peaks in one object
_TYPICAL, _LARGEST = 24.0, 7.0  # pixels of the model image where a head begins; its largest logarithm beyond them


class SeedHead(nn.Module):
    """Predict at a quarter of the image size how central each pixel is in its object, and how far the object reaches.

    Parameters
    ----------
    coarse_channels, fine_channels : int
        Of the features at strides 16 and 8.
    width : int
    boxes : bool
        Whether it says how far objects reach.
    """

    def __init__(self, coarse_channels: int, fine_channels: int, width: int = 64, boxes: bool = False) -> None:
        super().__init__()
        self.coarse = nn.Conv2d(coarse_channels, width, 1)
        self.fine = nn.Conv2d(fine_channels, width, 1)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, 4, 1)
        self.reach: nn.Sequential | None = None
        if boxes:
            # An object's edges lie further away than its centre can be told from.
            wide = nn.Conv2d(width, width, 3, padding=2, dilation=2)
            self.reach = nn.Sequential(wide, nn.GELU(), nn.Conv2d(width, 4 * _SIDES, 1))

    def forward(self, coarse: Tensor, fine: Tensor) -> tuple[Tensor, Tensor | None]:
        """Read features at strides 16 (B, C, H/16, W/16) and 8 (B, c, H/8, W/8).

        Returns
        -------
        centre_logits : (B, H/4, W/4) tensor
        reach : (B, 4, H/4, W/4) tensor, or None
            Pixels of the model image from here to the upper, left, lower and right edge of the object.
        """
        raised = F.interpolate(self.coarse(coarse), fine.shape[-2:], mode="bilinear", align_corners=False)
        x = F.gelu(self.mix(F.gelu(raised + self.fine(fine))))
        centres = F.pixel_shuffle(self.out(x), 2)[:, 0]
        if self.reach is None:
            return centres, None
        return centres, _TYPICAL * F.pixel_shuffle(self.reach(x), 2).float().clamp(-_LARGEST, _LARGEST).exp()


def pick_seeds(centre_logits: Tensor, count: int, reach: Tensor | None = None) -> Tensor:
    """Pick points (B, count, 2) (row, column) in pixels of the model image.

    Three quarters are the strongest local maxima of (B, h, w) centre logits, of those that share their box another one
    only where nothing else is left; the rest is a regular grid, so that things unlike anything in the training data are
    still looked at.

    Parameters
    ----------
    centre_logits : (B, h, w) tensor
    count : int
    reach : (B, 4, h, w) tensor, optional
        Without it, every local maximum is an object of its own.
    """
    h, w = centre_logits.shape[-2:]
    side = int((count // 4) ** 0.5)
    peaks = count - side * side
    smooth = F.avg_pool2d(centre_logits[:, None].float(), 3, 1, 1)
    is_peak = smooth == F.max_pool2d(smooth, 5, 1, 2)
    score = torch.where(is_peak, smooth, smooth - 1e3).flatten(1)
    index = score.topk(min(peaks * (1 if reach is None else _CANDIDATES), h * w), dim=1).indices
    places = torch.stack([index // w, index % w], dim=-1) * STRIDE + STRIDE / 2
    if reach is not None:
        own = [_own_boxes_first(boxes_at(told, each)) for told, each in zip(reach, places, strict=True)]
        places = torch.stack([each[order[:peaks]] for each, order in zip(places, own, strict=True)])
    steps = (torch.arange(side, device=score.device) + 0.5) / side
    grid = torch.cartesian_prod(steps * h, steps * w).reshape(-1, 2) * STRIDE
    return torch.cat([places, grid.expand(len(places), -1, -1)], dim=1)


def _own_boxes_first(boxes: Tensor) -> list[int]:
    """Positions of corners (N, 2, 2): first those whose box is not that of an earlier one, then the others."""
    corners = boxes.flatten(1)
    same = (iou_of_boxes(corners[:, None], corners[None]) > _SAME).cpu().numpy()
    kept: list[int] = []
    for i in range(len(boxes)):
        if not same[i, kept].any():
            kept.append(i)
    return kept + sorted(set(range(len(boxes))) - set(kept))


def boxes_at(reach: Tensor, seeds: Tensor) -> Tensor:
    """Corners (N, 2, 2) (row, column) of the boxes that the map `reach` (4, h, w) of one image tells for N seeds."""
    cells = (seeds / STRIDE).long()
    sides = reach[:, cells[:, 0], cells[:, 1]].T  # (N, 4)
    corners = torch.stack([seeds - sides[:, :2], seeds + sides[:, 2:]], dim=1)
    most = torch.tensor(reach.shape[-2:], device=seeds.device) * STRIDE
    return torch.minimum(corners.clamp(min=0), most.to(corners))


def seed_targets(masks: Tensor) -> Tensor:
    """What the head should tell of the masks (N, S, S) of one image.

    Returns
    -------
    (6, h, w) tensor
        Depth inside each object over its greatest depth; the distances in pixels to the four edges of the object's box;
        and how much they count: together as much for every object, most in its middle, where its seed will be.
    """
    h, w = masks.shape[-2] // STRIDE, masks.shape[-1] // STRIDE
    target = np.zeros((2 + _SIDES, h, w), dtype=np.float32)
    for mask in masks.cpu().numpy():
        occupied = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(occupied[0]):
            continue
        (top, bottom), (left, right) = ((int(places[0]), int(places[-1]) + 1) for places in occupied)
        box, depth = _depth(mask, (top, left, bottom, right))
        mine = depth > target[0][box]
        rows, columns = (np.arange(part.start, part.stop) * STRIDE + STRIDE / 2 for part in box)
        rows, columns = np.meshgrid(rows, columns, indexing="ij")
        sides = np.stack([rows - top, columns - left, bottom - rows, right - columns])
        here = target[:, box[0], box[1]]  # a view
        here[0][mine] = depth[mine]
        here[1:-1, mine] = sides[:, mine].clip(min=STRIDE / 2)
        here[-1][mine] = depth[mine] ** 2 / np.sum(depth[mine] ** 2)
    return torch.from_numpy(target).to(masks.device)


def _depth(mask: NDArray[np.bool_], box: tuple[int, int, int, int]) -> tuple[tuple[slice, slice], NDArray[np.float64]]:
    """Depth inside a mask over its greatest one, in the cells of its box (row0, column0, row1, column1)."""
    from scipy import ndimage  # training alone needs it

    small = mask[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
    low, high = (box[0] // STRIDE, box[1] // STRIDE), (-(-box[2] // STRIDE), -(-box[3] // STRIDE))
    cells = slice(low[0], min(high[0], small.shape[0])), slice(low[1], min(high[1], small.shape[1]))
    if small[cells].any():
        depth = ndimage.distance_transform_edt(np.pad(small[cells], 1))[1:-1, 1:-1]
        return cells, depth / depth.max()
    # An object smaller than the grid still deserves its seed.
    middle = np.minimum(np.argwhere(mask).mean(0).astype(int) // STRIDE, np.subtract(small.shape, 1))
    return (slice(middle[0], middle[0] + 1), slice(middle[1], middle[1] + 1)), np.ones((1, 1))


def reach_loss(reach: Tensor, targets: Tensor) -> Tensor:
    """One minus the IoU of the boxes that maps (B, 4, h, w) tell with the true ones, a mean over the objects.

    Parameters
    ----------
    reach : (B, 4, h, w) tensor
    targets : (B, 6, h, w) tensor
        See `seed_targets`.
    """
    true, weight = targets[:, 1:-1], targets[:, -1]
    shared = _area(torch.minimum(reach, true))
    union = _area(reach) + _area(true) - shared
    return ((1 - shared / union.clamp(min=1)) * weight).sum() / weight.sum().clamp(min=1)


def _area(sides: Tensor) -> Tensor:
    """Area (B, h, w) of boxes that reach so far (B, 4, h, w) to each side."""
    return (sides[:, 0] + sides[:, 2]) * (sides[:, 1] + sides[:, 3])
