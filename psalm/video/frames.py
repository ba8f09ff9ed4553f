"""The frames of a video, a folder or a stack, read one at a time and in any order."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from psalm.errors import ImageError
from psalm.images import SUFFIXES, contrast_limits, read_image, to_rgb8

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})
_KEPT = 32  # decoded frames of a video file, so that going backward does not decode everything again


class Frames(Protocol):
    """Frames that can be read one at a time."""

    def __len__(self) -> int:
        """How many frames there are."""

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """One frame, (H, W, 3) uint8."""

    @property
    def names(self) -> Sequence[str]:
        """A file name for every frame, as export writes it."""


def open_frames(source: Any, name: str = "frame") -> Frames:
    """The frames of a folder of images, a video file, a multi-page TIFF or GIF, or a stack.

    Parameters
    ----------
    source : path, array or sequence of arrays
        An array has the axes (time or z, row, column) or (time or z, row, column, channel with 3 or 4 entries); numpy,
        memory-mapped, dask or zarr.
    name : str
        What the frames of an array are called.

    Raises
    ------
    ImageError
        When there are no frames, or the source cannot be read.
    """
    if not isinstance(source, (str, Path)):
        return StackFrames(source, name)
    path = Path(source)
    if path.is_dir():
        return FolderFrames(path)
    if not path.is_file():
        raise ImageError(f"{path} is neither a folder of frames nor a video file: check the path.")
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return VideoFrames(path)
    return StackFrames(_read_pages(path), path.stem)


class FolderFrames:
    """Images of a folder in the order of their names, numbers in them counted as numbers."""

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(
            (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")),
            key=_natural,
        )
        if not self._paths:
            raise ImageError(f"{folder} holds no image: give a folder with the frames of one video.")

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return to_rgb8(read_image(self._paths[index]))

    @property
    def names(self) -> Sequence[str]:
        """The files' names."""
        return [path.name for path in self._paths]


class StackFrames:
    """Planes of an array along its first axis; the contrast is that of the first, middle and last plane together."""

    def __init__(self, stack: Any, name: str = "frame") -> None:
        self._stack = stack if hasattr(stack, "shape") or isinstance(stack, list) else np.asarray(stack)
        shape = getattr(self._stack, "shape", None)
        if shape is not None and not (len(shape) == 3 or (len(shape) == 4 and shape[3] in (3, 4))):
            raise ImageError(
                f"The stack has shape {tuple(shape)}: give (frame, row, column) or (frame, row, column, 3 or 4); "
                "choose one channel or plane of what has more axes."
            )
        if not len(self._stack):
            raise ImageError("The stack has no frame: give at least one.")
        self._name = name
        self._limits: tuple[float, float] | None = None

    def __len__(self) -> int:
        return len(self._stack)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if self._limits is None:
            known = [np.asarray(self._stack[i]) for i in sorted({0, len(self) // 2, len(self) - 1})]
            limits = [contrast_limits(frame) for frame in known]
            self._limits = min(low for low, _ in limits), max(high for _, high in limits)
        return to_rgb8(np.asarray(self._stack[index]), self._limits)

    @property
    def names(self) -> Sequence[str]:
        """Numbered names."""
        return [f"{self._name}_{i:05d}.png" for i in range(len(self))]


class VideoFrames:
    """Frames of a video file; needs the package av.

    Frames are decoded in order where they are asked for in order, and from the nearest key frame otherwise.
    """

    def __init__(self, path: Path) -> None:
        try:
            import av
        except ImportError as error:
            raise ImageError(f"{path} needs the package av: pip install 'napari-psalm[video]'.") from error
        self._path = path
        try:
            self._container = av.open(str(path))
            self._stream = self._container.streams.video[0]
            # Packets carry the times without decoding, so the number of frames is exact.
            times = [packet.pts for packet in self._container.demux(self._stream) if packet.pts is not None]
        except (av.FFmpegError, IndexError, OSError) as error:
            raise ImageError(f"{path} cannot be read as a video ({error}): convert it to MP4.") from error
        if not times:
            raise ImageError(f"{path} holds no frame: give another file.")
        self._times = sorted(times)
        self._position = {time: i for i, time in enumerate(self._times)}
        self._kept: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._decoder: Any = None
        self._next = 0

    def __len__(self) -> int:
        return len(self._times)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index not in self._kept:
            self._decode_until(index)
        return self._kept[index]

    @property
    def names(self) -> Sequence[str]:
        """Numbered names below the file's."""
        return [f"{self._path.stem}_{i:05d}.png" for i in range(len(self))]

    def _decode_until(self, index: int) -> None:
        if self._decoder is None or not self._next <= index < self._next + _KEPT:
            # Somewhat earlier, so that the frames before it are at hand when the video is read backward.
            start = max(index - _KEPT // 2, 0) if self._next > index else index
            self._container.seek(self._times[start], stream=self._stream, backward=True)
            self._decoder = self._container.decode(self._stream)
        for frame in self._decoder:
            found = self._position.get(frame.pts)
            if found is None:
                continue
            self._next = found + 1
            self._kept[found] = frame.to_ndarray(format="rgb24")
            self._kept.move_to_end(found)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            if found >= index:
                break
        if index not in self._kept:
            self._decoder = None
            raise ImageError(f"Frame {index} of {self._path} cannot be decoded: convert the video to MP4.")


def _read_pages(path: Path) -> Any:
    """A stack from a multi-page TIFF or an animated picture."""
    if path.suffix.lower() in (".tif", ".tiff"):
        import tifffile

        try:
            pages = tifffile.imread(path)
        except (OSError, ValueError, tifffile.TiffFileError) as error:
            raise ImageError(f"{path} cannot be read as a stack ({error}): give a TIFF, video or folder.") from error
        return pages[None] if pages.ndim == 2 or (pages.ndim == 3 and pages.shape[2] in (3, 4)) else pages
    from PIL import Image, ImageSequence

    try:
        with Image.open(path) as file:
            return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(file)]
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read as frames ({error}): give a TIFF, video or folder.") from error


def _natural(path: Path) -> list[tuple[int, str]]:
    """A sort key by which frame 2 comes before frame 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
