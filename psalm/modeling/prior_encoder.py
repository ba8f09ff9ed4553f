"""Visual priors and seeds as prompt tokens for the two-way decoder."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psalm.modeling.features import Regions
from psalm.modeling.two_way_decoder import ChannelNorm

NUM_TOKENS = 4  # tokens per prompt; unused ones carry the padding embedding
_PAD, _EXCLUDED, _POINT, _CORNER0, _CORNER1 = -1, 0, 1, 2, 3
_SURE = 10.0  # logit of a mask's pixels


class PriorEncoder(nn.Module):
    """Encode points, scribbles, boxes and masks.

    A point is its centre, a scribble four pixels spread over it, a box its two corners, and a mask the corners of its
    box together with the mask itself as a dense embedding.

    Parameters
    ----------
    dim : int
        Width of the tokens.
    image_size : int
        Side of the model image in pixels.
    """

    frequencies: Tensor

    def __init__(self, dim: int, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.register_buffer("frequencies", torch.randn(2, dim // 2))
        self.point_embeddings = nn.Embedding(4, dim)
        self.padding_embedding = nn.Embedding(1, dim)
        self.no_mask_embedding = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, 2, 2), ChannelNorm(4), nn.GELU(),
            nn.Conv2d(4, 16, 2, 2), ChannelNorm(16), nn.GELU(),
            nn.Conv2d(16, dim, 1),
        )  # fmt: skip

    def positions(self, points: Tensor) -> Tensor:
        """Encode (..., 2) points (row, column), in pixels of the model image measured from its corner, as (..., C)."""
        xy = points.flip(-1) / self.image_size * 2 - 1
        # Elementwise, so that autocast to half precision leaves the coordinates exact.
        angles = 2 * math.pi * (xy[..., :1] * self.frequencies[0] + xy[..., 1:] * self.frequencies[1])
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def grid(self, h: int, w: int) -> Tensor:
        """Position encoding (1, C, h, w) of a feature grid over the model image."""
        device = self.frequencies.device
        rows = (torch.arange(h, device=device) + 0.5) / h * self.image_size
        columns = (torch.arange(w, device=device) + 0.5) / w * self.image_size
        points = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)
        encoding = self.positions(points).permute(2, 0, 1)[None]
        return encoding.to(self.no_mask_embedding.weight.dtype)

    def seeds(self, points: Tensor) -> Tensor:
        """Prompt tokens (N, 4, C) of (N, 2) seed points."""
        padded = torch.cat([points[:, None], points.new_zeros(len(points), NUM_TOKENS - 1, 2)], dim=1)
        labels = torch.full((len(points), NUM_TOKENS), _PAD, device=points.device)
        labels[:, 0] = _POINT
        return self._embed(padded, labels)

    def forward(self, regions: Regions, grid: tuple[int, int], drafts: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode the regions of one image.

        Parameters
        ----------
        regions : Regions
        grid : (h, w)
            Of the image embedding.
        drafts : (R, 4h, 4w) tensor, optional
            Logits of what was drafted around the regions, to be drawn better; they take the place of the dense
            embedding.

        Returns
        -------
        tokens : (R, 4, C) tensor
        dense : (R, C, h, w) tensor
            Dense embedding to add to the image embedding of size `grid`.
        """
        device = self.frequencies.device
        points, labels = regions.marks or marks_of(regions)
        tokens = self._embed(points.to(device), labels.to(device))
        dense = self.no_mask_embedding.weight[..., None, None].expand(len(labels), -1, *grid)
        is_mask = torch.tensor([kind == "mask" for kind in regions.kinds], device=device)
        if is_mask.any():
            size = (grid[0] * 4, grid[1] * 4)
            cover = F.interpolate(regions.masks.to(device, torch.float32)[:, None], size, mode="area")
            logits = (_SURE * (2 * cover - 1)).to(dense.dtype)
            dense = torch.where(is_mask[:, None, None, None], self.mask_downscaling(logits), dense)
        if drafts is not None:
            dense = self.mask_downscaling(drafts.clamp(-_SURE, _SURE)[:, None].to(dense.dtype))
        return tokens, dense

    def _embed(self, points: Tensor, labels: Tensor) -> Tensor:
        known = self.positions(points) + self.point_embeddings(labels.clamp(min=0))
        padding = self.padding_embedding.weight
        return torch.where((labels == _PAD)[..., None], padding, known.to(padding.dtype))


def marks_of(regions: Regions, excluded: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """What stands for regions: points in pixels of the model image, and what each of them is.

    Parameters
    ----------
    regions : Regions
    excluded : (E, S, S) tensor of bool, optional
        What belongs to none of the objects. A region takes the nearest of these that it has tokens left for; a click or
        a stroke keeps what lies under itself, and a stroke gives up one of its points.

    Returns
    -------
    points : (R, 4, 2) tensor
        (row, column).
    labels : (R, 4) tensor
    """
    points = torch.zeros(len(regions.kinds), NUM_TOKENS, 2)
    labels = torch.full((len(regions.kinds), NUM_TOKENS), _PAD)
    outside = torch.zeros(0, 2)
    if excluded is not None and len(excluded):
        outside = torch.stack([_most_central(mask.nonzero().float()) for mask in excluded.cpu()]) + 0.5
    for i, (mask, kind) in enumerate(zip(regions.masks.cpu(), regions.kinds, strict=True)):
        found, label = _prompt_points(mask, kind)
        nearest = _nearest(outside, found, mask if kind in ("point", "scribble") else None)
        if len(nearest) and len(found) == NUM_TOKENS:
            found, label = found[:-1], label[:-1]
        nearest = nearest[: NUM_TOKENS - len(found)]
        count = len(found) + len(nearest)
        points[i, :count] = torch.cat([found, nearest])
        labels[i, :count] = torch.cat([label, label.new_full((len(nearest),), _EXCLUDED)])
    return points, labels


def _nearest(outside: Tensor, found: Tensor, own: Tensor | None) -> Tensor:
    """Points (E, 2) that do not lie in a region's `own` mask (S, S), the nearest to its points (n, 2) first."""
    if own is not None:
        cells = outside.long()
        outside = outside[~own[cells[:, 0], cells[:, 1]]]
    return outside[(outside - found.mean(0)).square().sum(1).argsort()]


def _most_central(pixels: Tensor) -> Tensor:
    """The one of pixels (n, 2) that is nearest to their mean."""
    return pixels[(pixels - pixels.mean(0)).square().sum(1).argmin()]


def _prompt_points(mask: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Points (n, 2) (row, column) from the image corner in pixels, and their labels, for one region."""
    pixels = mask.nonzero().float()
    if not len(pixels):  # a tiny region can vanish when the image is shrunk; its prompt is then the centre
        pixels = torch.tensor([[mask.shape[0] / 2, mask.shape[1] / 2]])
    if kind == "point":
        return pixels.mean(0, keepdim=True) + 0.5, torch.tensor([_POINT])
    if kind == "scribble":
        # Farthest pixels first: four points spread over the stroke.
        chosen = [_most_central(pixels)]
        distance = (pixels - chosen[0]).square().sum(1)
        while len(chosen) < NUM_TOKENS and distance.max() > 0:
            chosen.append(pixels[distance.argmax()])
            distance = torch.minimum(distance, (pixels - chosen[-1]).square().sum(1))
        return torch.stack(chosen) + 0.5, torch.full((len(chosen),), _POINT)
    corners = torch.stack([pixels.amin(0), pixels.amax(0) + 1])
    return corners, torch.tensor([_CORNER0, _CORNER1])
