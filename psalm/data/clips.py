"""Short clips with a label image for every frame: of a labelled folder, and generated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from psalm.coco import ImageEntry, read_coco
from psalm.images import read_image, to_rgb8


@dataclass(frozen=True)
class Clip:
    """A clip and its truth.

    Parameters
    ----------
    name : str
    frames : sequence of (H, W, 3) arrays of uint8
        RGB.
    labels : sequence of (H, W) arrays of int
        The number of the object at each pixel, the same in all frames; 0 is none.
    """

    name: str
    frames: Sequence[NDArray[np.uint8]]
    labels: Sequence[NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.frames)


def read_clips(
    folder: Path | str, source: str = "davis2016", split: str | None = None, most: int | None = None
) -> Iterator[Clip]:
    """The clips of one source in a folder with ``images`` and a COCO file ``annotations.json``.

    A file name is the clip's name, an underscore and what tells the frame. All that is labelled in a frame is one
    object, as in DAVIS 2016; a frame without labels is left out.

    Parameters
    ----------
    folder : path
    source : str
        As the images name it.
    split : str, optional
        Read the images of this split; all when not given.
    most : int, optional
        Frames of each clip.

    Raises
    ------
    AnnotationError
        When the annotations or a mask are damaged, or there is no such split.
    ImageError
        When a frame cannot be read.
    """
    dataset = read_coco(Path(folder) / "annotations.json")
    named: dict[str, list[ImageEntry]] = defaultdict(list)
    for image in sorted(dataset.in_split(split), key=lambda image: image.file_name):
        if image.source == source and dataset.by_image.get(image.id):
            named[image.file_name.rpartition("_")[0]].append(image)
    for name, images in named.items():
        frames = [to_rgb8(read_image(image.path(Path(folder) / "images"))) for image in images[:most]]
        objects = [[one.mask() for one in dataset.by_image[image.id]] for image in images[:most]]
        yield Clip(name, frames, [np.any(masks, axis=0).astype(np.int64) for masks in objects])


def draw_clip(seed: int, length: int) -> Clip:
    """A clip of two to four textured blobs that move over a still ground, as the seed has it."""
    rng = np.random.default_rng(seed)
    shape = (240, 320)
    ground = ndimage.gaussian_filter(rng.normal(0, 1, (*shape, 3)), (6, 6, 0)) * 300 + 110
    count = int(rng.integers(2, 5))
    radius, place = rng.uniform(14, 30, count), rng.uniform((40, 40), (200, 280), (count, 2))
    speed, colour = rng.uniform(-5, 5, (count, 2)), rng.uniform(30, 250, (count, 3))
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    frames, labels = [], []
    for _ in range(length):
        frame, label = ground.copy(), np.zeros(shape, dtype=np.int64)
        for i in range(count):
            inside = (rows - place[i, 0]) ** 2 + 1.6 * (columns - place[i, 1]) ** 2 <= radius[i] ** 2
            frame[inside] = colour[i] + 20 * np.sin((rows + columns)[inside, None] / 4)
            label[inside] = i + 1
            place[i] += speed[i]
            speed[i] = np.where((place[i] < 30) | (place[i] > np.array(shape) - 30), -speed[i], speed[i])
        frames.append(np.clip(frame + rng.normal(0, 4, frame.shape), 0, 255).astype(np.uint8))
        labels.append(label)
    return Clip(f"generated {seed}", frames, labels)
