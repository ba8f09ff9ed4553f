"""What an object looks like to the small model, so that it is known again in another image.

The small model drafts masks without being told what to look for. Whether a draft shows an object of another image is
told by the features under both masks, their outlines, their sizes and the draft's quality.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align

from psalm.modeling.box_agreement import extents
from psalm.modeling.features import ImageFeatures

_OUTLINE = 12
_USUAL = 2.0  # difference of size, as a power of e, up to which the fit is trusted: some seven times the area
_FAR = 0.5


@dataclass(frozen=True)
class Appearance:
    """How N masks look.

    Parameters
    ----------
    looks : tuple of (N, C_i) tensors
        Features under the mask on the levels of the image, each of unit length.
    outlines : (N, 144) tensor
        Outline in the mask's own box, of unit length.
    areas : (N,) tensor
        Pixels of the original image.
    """

    looks: tuple[Tensor, ...]
    outlines: Tensor
    areas: Tensor

    def __len__(self) -> int:
        return len(self.areas)

    def select(self, index: Tensor | list[int]) -> Appearance:
        """Some of the masks, in the order of `index`."""
        return Appearance(tuple(level[index] for level in self.looks), self.outlines[index], self.areas[index])

    @classmethod
    def concatenate(cls, parts: list[Appearance]) -> Appearance:
        """Several behind one another."""
        looks = tuple(torch.cat(level) for level in zip(*(part.looks for part in parts), strict=True))
        return cls(looks, *(torch.cat([getattr(part, name) for part in parts]) for name in ("outlines", "areas")))


def describe(features: ImageFeatures, masks: Tensor, scale: float) -> Appearance:
    """How masks look on the image that they were made for.

    Parameters
    ----------
    features : ImageFeatures
        Of one image.
    masks : (N, h, w) tensor
        On the padded model image, at any resolution; bool or 0 to 1.
    scale : float
        Pixels of the original image per pixel of `masks`.
    """
    masks = masks.float()
    levels = [features.generator["embedding"], features.pyramid[1], features.pyramid[0]]
    looks = tuple(_unit(_pool(level[0].float(), masks)) for level in levels)
    rois = extents(masks > 0)
    outlines = roi_align(masks[:, None], list(rois[:, None]), _OUTLINE, sampling_ratio=2) if len(masks) else masks
    return Appearance(looks, _unit(outlines.flatten(1)), masks.sum((1, 2)) * scale**2)


def likeness(known: Appearance, found: Appearance, quality: Tensor) -> Tensor:
    """Logits (K, N): whether each of N found masks shows the same kind of object as each of K known ones.

    The weights were fitted to pairs of real images, each source of images counting the same. Few of these pairs differ
    much in size, so what they say of it is not taken for true far beyond: what lies behind many small objects is none
    of them.

    Parameters
    ----------
    known, found : Appearance
    quality : (N,) tensor
        The generator's estimate of each mask's IoU.
    """
    *looks, outlines, sizes = comparisons(known, found)
    alike = 10.3 * torch.stack(looks).mean(0) + 5.6 * outlines - 0.63 * sizes + 7.7 * quality - 19.35
    return alike - _FAR * (sizes - _USUAL).clamp(min=0).square()


def evidence(first: Appearance, last: Appearance, found: Appearance, quality: Tensor, near: Tensor) -> Tensor:
    """What speaks for N found masks showing one object of an earlier frame: (N, 12), for `psalm.modeling.sameness`.

    Of the first appearance, then of the last: likeness of the looks on three levels and of the outlines, counted from
    1, and difference of the sizes in powers of e. Then quality and nearness.

    Parameters
    ----------
    first, last : Appearance
        Of the object alone: when it was marked, and when it was last seen for certain.
    found : Appearance
    quality : (N,) tensor
        The generator's estimate of each mask's IoU.
    near : (N,) tensor
        How much each mask overlaps the place where the object was, 0 to 1.
    """
    told = [each[0] for known in (first, last) for each in _differences(known, found)]
    return torch.stack([*told, quality, near], dim=1)


def comparisons(known: Appearance, found: Appearance) -> tuple[Tensor, ...]:
    """Each (K, N): likeness of the looks on each level and of the outlines, and difference of the sizes."""
    looks = tuple(one @ other.T for one, other in zip(known.looks, found.looks, strict=True))
    sizes = (known.areas.clamp(min=1).log()[:, None] - found.areas.clamp(min=1).log()).abs()
    return (*looks, known.outlines @ found.outlines.T, sizes)


def _differences(known: Appearance, found: Appearance) -> tuple[Tensor, ...]:
    # All looks are much alike. Their weights are large and nearly cancel, unless likeness is counted from 1: half
    # precision could not hold what is left.
    *alike, sizes = comparisons(known, found)
    return (*(each - 1 for each in alike), sizes)


def _pool(level: Tensor, masks: Tensor) -> Tensor:
    """Mean (N, C) of features (C, h, w) under each mask, weighted by cover."""
    if not len(masks):
        return level.new_zeros(0, len(level))
    cover = F.interpolate(masks[:, None], level.shape[-2:], mode="area")[:, 0]
    weights = cover / cover.sum((1, 2), keepdim=True).clamp(min=1e-6)
    return torch.einsum("nhw,chw->nc", weights, level)


def _unit(vectors: Tensor) -> Tensor:
    return F.normalize(vectors, dim=-1)
