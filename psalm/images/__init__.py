"""Images as people have them: read from files of many kinds, and made into the 8-bit RGB that the model takes."""

from psalm.images.colours import contrast_limits, to_rgb8
from psalm.images.files import MAX_PIXELS, SUFFIXES, ImageFile, open_file, open_image, read_image
from psalm.images.folders import images_below
from psalm.images.zarr_folder import is_zarr_image

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "ImageFile",
    "contrast_limits",
    "images_below",
    "is_zarr_image",
    "open_file",
    "open_image",
    "read_image",
    "to_rgb8",
]
