"""Frames of every kind of source, in any order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from psalm.errors import ImageError
from psalm.video import open_frames


@pytest.fixture
def stack() -> np.ndarray:
    return (np.arange(12)[:, None, None] * 20 + np.zeros((12, 32, 48))).astype(np.uint8)


def values(frames) -> list[int]:
    return [int(np.median(frames[i])) for i in range(len(frames))]


def test_a_folder_is_read_in_the_order_of_its_numbers(stack, tmp_path: Path):
    for i, plane in enumerate(stack):
        Image.fromarray(plane).save(tmp_path / f"frame{i}.png")
    frames = open_frames(tmp_path)
    assert values(frames) == [20 * i for i in range(12)]
    assert frames.names[10] == "frame10.png"
    assert frames[3].shape == (32, 48, 3)


def test_a_stack_keeps_one_contrast(stack):
    frames = open_frames(stack.astype(np.uint16) * 100, "z")
    shown = values(frames)
    assert shown == sorted(shown)
    assert (shown[0], shown[-1], frames.names[3]) == (0, 255, "z_00003.png")


def test_dask_and_tiff_stacks_are_read_too(stack, tmp_path: Path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "stack.tif", stack)
    assert values(open_frames(tmp_path / "stack.tif")) == [20 * i for i in range(12)]
    dask = pytest.importorskip("dask.array")
    assert values(open_frames(dask.from_array(stack, chunks=(1, 32, 48)))) == [20 * i for i in range(12)]


def test_a_video_file_is_read_in_any_order(stack, tmp_path: Path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 48, 32, "yuv420p", 4
        for plane in stack:
            frame = av.VideoFrame.from_ndarray(np.repeat(plane[..., None], 3, axis=2), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    frames = open_frames(tmp_path / "clip.mp4")
    assert len(frames) == 12
    forward = values(frames)
    assert np.abs(np.array(forward) - 20 * np.arange(12)).max() <= 6
    again = open_frames(tmp_path / "clip.mp4")
    for i in (11, 0, 7, 6, 5, 11, 3):
        assert abs(int(np.median(again[i])) - forward[i]) <= 1


def test_what_holds_no_frames_is_refused(tmp_path: Path):
    with pytest.raises(ImageError, match="holds no image"):
        open_frames(tmp_path)
    with pytest.raises(ImageError, match="neither a folder"):
        open_frames(tmp_path / "none.mp4")
    with pytest.raises(ImageError, match="shape"):
        open_frames(np.zeros((3, 4, 5, 6, 3)))
    with pytest.raises(ImageError, match="no frame"):
        open_frames(np.zeros((0, 4, 5)))
    pytest.importorskip("av")
    (tmp_path / "broken.mp4").write_text("no video")
    with pytest.raises(ImageError, match="cannot be read as a video"):
        open_frames(tmp_path / "broken.mp4")
