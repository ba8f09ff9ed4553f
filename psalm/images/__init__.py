"""Images as people have them: read from files of many kinds, and made into the 8-bit RGB that the model takes."""

from psalm.images.colours import contrast_limits, to_rgb8
from psalm.images.files import MAX_PIXELS, SUFFIXES, ImageFile, open_image, read_image

__all__ = ["MAX_PIXELS", "SUFFIXES", "ImageFile", "contrast_limits", "open_image", "read_image", "to_rgb8"]
