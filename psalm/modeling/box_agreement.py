"""A box says how far its object reaches: drafts that fill it are likelier meant, and only their outlines differ."""

from __future__ import annotations

import torch
from torch import Tensor

from psalm.modeling.features import Regions

# Exponent of the agreement in a geometric mean with the decoder's own estimate; chosen on training images, where with
# it the estimate also comes nearer to the true IoU.
_SHARE = 0.3
_WORSE = 0.05  # drafts of a box whose estimated IoU is so much lower count a third
_SURE = 12.0  # no draft has a greater say in a pixel


def heed_boxes(quality: Tensor, masks: Tensor, regions: Regions) -> Tensor:
    """Estimated IoU (R, K) of the drafts, those around boxes corrected by how well they fill their box.

    Parameters
    ----------
    quality : (R, K) tensor
        The decoder's estimate, 0 to 1.
    masks : (R, K, h, w) tensor of bool
        The drafts on the model image, at any resolution.
    regions : Regions
        What they were drafted around; only boxes change anything.
    """
    boxes = [i for i, kind in enumerate(regions.kinds) if kind == "box"]
    if not boxes:
        return quality
    is_box = torch.tensor(boxes, device=masks.device)
    scale = masks.shape[-1] / regions.masks.shape[-1]
    asked = extents(regions.masks[is_box.to(regions.masks.device)].to(masks.device) > 0) * scale
    found = extents(masks[is_box].flatten(0, 1)).unflatten(0, (len(boxes), -1))
    agreement = iou_of_boxes(asked[:, None], found).to(quality.dtype)
    corrected = quality[is_box].clamp(min=1e-3) ** (1 - _SHARE) * agreement**_SHARE
    return quality.index_put((is_box,), corrected.to(quality.dtype))


def agreed(drafts: Tensor, quality: Tensor) -> Tensor:
    """What the drafts (R, K, h, w) of each of R boxes agree on, (R, h, w), the better ones of them counting more.

    They differ in their outlines, and errors of outlines even out.

    Parameters
    ----------
    drafts : (R, K, h, w) tensor
        Logits.
    quality : (R, K) tensor
        Estimated IoU, as `heed_boxes` gives it.
    """
    weights = (quality / _WORSE).softmax(1).to(drafts.dtype)
    return torch.einsum("rk,rkhw->rhw", weights, drafts.clamp(-_SURE, _SURE))


def iou_of_boxes(first: Tensor, second: Tensor) -> Tensor:
    """IoU of boxes (..., 4), low corner first, with others whose shape broadcasts with theirs; 0 for two empty ones."""
    shared = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    shared_area = shared.clamp(min=0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (first, second)]
    return (shared_area / (areas[0] + areas[1] - shared_area)).nan_to_num()


def extents(masks: Tensor) -> Tensor:
    """Boxes (N, 4) as (x0, y0, x1, y1) of (N, h, w) masks in their pixels; zeros for an empty one."""
    sides = []
    for occupied in (masks.any(1), masks.any(2)):  # columns, then rows
        places = torch.arange(occupied.shape[1], device=masks.device)
        sides.append((torch.where(occupied, places, occupied.shape[1]).amin(1), (occupied * (places + 1)).amax(1)))
    (x0, x1), (y0, y1) = sides
    return torch.stack([torch.minimum(x0, x1), torch.minimum(y0, y1), x1, y1], dim=1).float()
