"""From an image at its original size to the square image that the model sees (PSALM, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from psalm.config import PSALMConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """Where an image lies on the model image: top left, the rest is padding.

    Parameters
    ----------
    original : (height, width)
        The image in pixels.
    resized : (height, width)
        Its size on the model image.
    size : int
        Side of the square model image.
    """

    original: tuple[int, int]
    resized: tuple[int, int]
    size: int


class ImageTransform:
    """Resize the longest side to the model's size, pad right and bottom, normalise.

    Parameters
    ----------
    config : PSALMConfig
    """

    def __init__(self, config: PSALMConfig) -> None:
        self.config = config

    def frame(self, shape: tuple[int, ...]) -> Frame:
        """The frame of an image of this shape.

        Parameters
        ----------
        shape : (height, width, ...)
        """
        height, width = int(shape[0]), int(shape[1])
        size = self.config.image_size
        scale = size / max(height, width)
        resized = (max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1))
        return Frame((height, width), resized, size)

    def image(self, rgb8: NDArray[np.uint8], device: torch.device | str | None = None) -> Tensor:
        """The normalised model image.

        Parameters
        ----------
        rgb8 : (H, W, 3) array of uint8
        device : torch device, optional

        Returns
        -------
        (3, S, S) tensor of float32
        """
        import torch
        from PIL import Image

        height, width = self.frame(rgb8.shape).resized
        resized = np.asarray(Image.fromarray(rgb8).resize((width, height), Image.Resampling.BILINEAR))
        padded = np.full((self.config.image_size, self.config.image_size, 3), self.config.pad_value, dtype=np.uint8)
        padded[:height, :width] = resized
        pixels = torch.from_numpy(padded).to(device).permute(2, 0, 1).float()
        mean = torch.tensor(self.config.pixel_mean, device=pixels.device).view(3, 1, 1)
        std = torch.tensor(self.config.pixel_std, device=pixels.device).view(3, 1, 1)
        return (pixels - mean) / std

    def masks(self, masks: NDArray[np.bool_], device: torch.device | str | None = None) -> Tensor:
        """Masks on the model image, by nearest neighbour; the padding is False.

        A mask that is too thin to meet any sampled pixel keeps the one nearest to its middle.

        Parameters
        ----------
        masks : (N, H, W) array of bool
        device : torch device, optional

        Returns
        -------
        (N, S, S) tensor of bool
        """
        import torch

        frame = self.frame(masks.shape[1:])
        rows, columns = (_nearest(old, new) for old, new in zip(frame.original, frame.resized, strict=True))
        result = np.zeros((len(masks), frame.size, frame.size), dtype=bool)
        result[:, : len(rows), : len(columns)] = masks[:, rows[:, None], columns]
        for i in np.flatnonzero(~result.any(axis=(1, 2)) & masks.any(axis=(1, 2))):
            result[i][_middle(masks[i], frame)] = True
        return torch.from_numpy(result).to(device)


def _nearest(old: int, new: int) -> NDArray[np.int32]:
    """Which of `old` pixels each of `new` pixels shows; Pillow decides, so that its rounding is kept."""
    from PIL import Image

    positions = Image.fromarray(np.arange(old, dtype=np.int32)[None])
    return np.asarray(positions.resize((new, 1), Image.Resampling.NEAREST))[0]


def _middle(mask: NDArray[np.bool_], frame: Frame) -> tuple[int, int]:
    """The model pixel that holds the mask pixel nearest to the mask's centroid."""
    points = np.argwhere(mask)
    row, column = points[np.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1))]
    return row * frame.resized[0] // frame.original[0], column * frame.resized[1] // frame.original[1]
