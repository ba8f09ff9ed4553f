"""An image as the model holds it, and regions that are remembered from other images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from psalm.conditions import RegionKind
from psalm.errors import ConditionError
from psalm.image_transform import Frame, ImageTransform
from psalm.images import to_rgb8
from psalm.modeling.features import ImageFeatures, Regions

if TYPE_CHECKING:
    from psalm.predictor import PSALMPredictor


@dataclass(frozen=True)
class EncodedImage:
    """The features of one image, and where it lies on the model image.

    Parameters
    ----------
    features : ImageFeatures
        A batch of one.
    frame : Frame
    transform : ImageTransform
    """

    features: ImageFeatures
    frame: Frame
    transform: ImageTransform

    @classmethod
    def of(cls, predictor: PSALMPredictor, image: ArrayLike) -> EncodedImage:
        """Encode an image of any kind that `psalm.images.to_rgb8` takes."""
        transform, colours = ImageTransform(predictor.config), to_rgb8(image)
        dtype = next(predictor.model.parameters()).dtype
        pixels = transform.image(colours, predictor.device).to(dtype)[None]
        with torch.inference_mode():
            return cls(predictor.model.encode_image(pixels), transform.frame(colours.shape), transform)

    def scale(self, side: int) -> float:
        """Pixels of the original image per pixel of a map with `side` pixels along the model image."""
        return max(self.frame.original) / max(self.frame.resized) * self.frame.size / side

    def masks(self, masks: NDArray[Any]) -> Tensor:
        """Masks (N, H, W) of the original image on the model image, (N, S, S) bool.

        Raises
        ------
        ConditionError
            When they have not the size of the image.
        """
        if masks.shape[1:] != self.frame.original:
            raise ConditionError(
                f"The masks have size {masks.shape[1:]}, the image {self.frame.original} (height, width): "
                "make them at the image's size."
            )
        return self.transform.masks(masks, self.features.image_tokens.device)


def remembered(vectors: Tensor, size: int) -> tuple[ImageFeatures, Regions]:
    """A reference image and regions on it, from which `PSALM.propose` pools exactly these region embeddings.

    So nothing of the image on which a region was drawn must be kept but one vector.

    Parameters
    ----------
    vectors : (R, D) tensor
    size : int
        Side of the model image in pixels.
    """
    # Regions of one pixel each, at which the bilinear weights of a grid with one more row and column are exactly one.
    side = 1 << max(math.ceil(math.log2(math.sqrt(len(vectors)))), 0)
    if size % side:
        raise ConditionError(f"{len(vectors)} regions are more than can be remembered at once: ask for fewer.")
    grid = vectors.new_zeros(side + 1, side + 1, vectors.shape[1])
    masks = torch.zeros(len(vectors), size, size, dtype=torch.bool, device=vectors.device)
    for i, vector in enumerate(vectors):
        row, column = divmod(i, side)
        grid[row, column] = vector
        masks[i, row * size // side, column * size // side] = True
    kind: RegionKind = "mask"
    return ImageFeatures((), grid.flatten(0, 1)[None]), Regions(masks, (kind,) * len(vectors))
