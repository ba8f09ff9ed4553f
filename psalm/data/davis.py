"""DAVIS-2017 as it is published: short videos with a label map per frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from psalm.conditions import Task
from psalm.data.coco_folder import read_map
from psalm.data.layout import Layout, Part, image_key, read_lines
from psalm.data.prompts import simulate_priors
from psalm.data.sample import Sample
from psalm.errors import AnnotationError
from psalm.images import read_image, to_rgb8

HOME = "the DAVIS website, DAVIS 2017, TrainVal 480p"
_VOID = 255


def layout(split: str = "val", resolution: str = "480p") -> Layout:
    """What `Davis` needs."""
    return Layout(
        "DAVIS-2017",
        HOME,
        (
            Part(f"ImageSets/2017/{split}.txt", "names of the videos"),
            Part(f"JPEGImages/{resolution}", "frames"),
            Part(f"Annotations/{resolution}", "label maps"),
        ),
    )


class Davis:
    """Videos of DAVIS-2017.

    As a collection of samples it is a list of labelled frames; each asks for its objects by prompts drawn from them.

    Parameters
    ----------
    root : path
        Folder with ``ImageSets``, ``JPEGImages`` and ``Annotations``.
    split : {"train", "val"}
    resolution : str
        Name of the folder of frames.

    Raises
    ------
    AnnotationError
        When a file is missing or damaged.
    """

    def __init__(self, root: Path | str, split: str = "train", resolution: str = "480p") -> None:
        plan = layout(split, resolution)
        plan.require(root)
        self._frames = Path(root) / "JPEGImages" / resolution
        self._maps = Path(root) / "Annotations" / resolution
        self.videos = tuple(read_lines(Path(root) / plan.parts[0].path))
        self._numbers = {video: self._frame_names(video) for video in self.videos}
        self._labelled = [
            (video, name) for video in self.videos for name in self._numbers[video] if self._map(video, name).exists()
        ]
        if not self._labelled:
            raise AnnotationError(f"No video of the split {split!r} has a label map: get them from {HOME}.")

    def __len__(self) -> int:
        return len(self._labelled)

    @property
    def sources(self) -> list[str]:
        """The video of each labelled frame."""
        return [video for video, _ in self._labelled]

    def num_frames(self, video: str) -> int:
        """How many frames a video has."""
        return len(self._numbers[video])

    def frame(self, video: str, number: int) -> NDArray[np.uint8]:
        """Frame `number`, from 0, as (H, W, 3) RGB."""
        return to_rgb8(read_image(self._frames / video / f"{self._numbers[video][number]}.jpg"))

    def labels(self, video: str, number: int) -> NDArray[np.int64]:
        """The number of the object at each pixel (H, W) of a frame; 0 is none."""
        values = read_map(self._map(video, self._numbers[video][number]))
        return np.where(values == _VOID, 0, values)

    def sample(self, index: int, rng: np.random.Generator, task: Task | None = None, variant: int = 0) -> Sample:
        """A labelled frame as a question; see `psalm.data.mixture.Samples`."""
        if task not in (None, Task.INTERACTIVE):
            raise AnnotationError(f"davis only serves the task interactive, not {task}: set its tasks.")
        video, name = self._labelled[index]
        masks = self._objects(video, name)
        if not len(masks):  # all objects are hidden; the first frame shows them by the data set's rules
            name = self._numbers[video][0]
            masks = self._objects(video, name)
        path = self._frames / video / f"{name}.jpg"
        condition = simulate_priors(masks, rng)
        image, key = to_rgb8(read_image(path)), image_key(path)
        return Sample(image, Task.INTERACTIVE, condition, masks, np.arange(len(masks)), True, "davis", key)

    def _objects(self, video: str, name: str) -> NDArray[np.bool_]:
        values = read_map(self._map(video, name))
        numbers = [number for number in np.unique(values).tolist() if number not in (0, _VOID)]
        return np.stack([values == number for number in numbers]) if numbers else np.zeros((0, *values.shape), bool)

    def _map(self, video: str, name: str) -> Path:
        return self._maps / video / f"{name}.png"

    def _frame_names(self, video: str) -> list[str]:
        names = sorted(path.stem for path in (self._frames / video).glob("*.jpg"))
        if not names:
            raise AnnotationError(f"There is no frame of the video {video} in {self._frames}: get it from {HOME}.")
        return names
