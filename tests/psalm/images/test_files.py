"""Image files of every kind, page by page."""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from psalm.errors import ImageError
from psalm.images import open_image, read_image

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def test_png_and_16_bit_png_are_read_as_they_are(tmp_path: Path):
    for name, image in {"a.png": np.dstack([RAMP] * 4), "b.png": RAMP.astype(np.uint16) * 250}.items():
        Image.fromarray(image).save(tmp_path / name)
        assert np.array_equal(read_image(tmp_path / name), image)
        assert read_image(tmp_path / name).dtype == image.dtype


def test_palettes_become_colours(tmp_path: Path):
    Image.fromarray(np.dstack([RAMP] * 3)).convert("P").save(tmp_path / "p.png")
    assert read_image(tmp_path / "p.png").shape == (3, 4, 3)
    Image.fromarray(RAMP > 100).save(tmp_path / "bits.png")
    assert set(np.unique(read_image(tmp_path / "bits.png"))) == {0, 255}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int):
    from PIL import ImageOps

    path = tmp_path / "turned.png"
    image = Image.fromarray(RAMP)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    assert np.array_equal(read_image(path), expected)
    tifffile.imwrite(tmp_path / "turned.tif", RAMP, extratags=[(274, "H", 1, orientation, True)])
    assert np.array_equal(read_image(tmp_path / "turned.tif"), expected)
    assert (read_image(path).shape == (4, 3)) == (orientation >= 5)


def test_tiff_of_every_depth_and_layout(tmp_path: Path):
    path = tmp_path / "a.tif"
    for image in (RAMP, RAMP.astype(np.uint16) * 200, RAMP.astype(np.float32), np.dstack([RAMP] * 3)):
        tifffile.imwrite(path, image)
        assert np.array_equal(read_image(path), image)
    tifffile.imwrite(path, np.stack([RAMP] * 3), photometric="rgb", planarconfig="separate")
    assert read_image(path).shape == (3, 4, 3)
    tifffile.imwrite(path, np.zeros((1, 30, 40), np.uint8))
    assert read_image(path).shape == (30, 40)


def test_stacks_missing_and_broken_files_are_refused(tmp_path: Path):
    stack, text = tmp_path / "stack.tif", tmp_path / "text.png"
    tifffile.imwrite(stack, np.stack([RAMP] * 7), photometric="minisblack")
    with pytest.raises(ImageError, match="stack"):
        read_image(stack)
    text.write_text("no image")
    with pytest.raises(ImageError, match="not an image"):
        read_image(text)
    with pytest.raises(ImageError, match="not a file"):
        read_image(tmp_path / "none.png")


def test_the_planes_of_an_ome_tiff_are_pages(tmp_path: Path):
    """Three channels are one RGB page, other axes are counted through, the last one fastest."""
    image = np.arange(2 * 3 * 4 * 5 * 6, dtype=np.uint16).reshape(2, 3, 4, 5, 6)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, image, photometric="minisblack", metadata={"axes": "TCZYX"})
    with open_image(path) as file:
        assert file.pages == 8
        pages = [file.read(page) for page in range(8)]
    for t in range(2):
        for z in range(4):
            assert np.array_equal(pages[4 * t + z], np.moveaxis(image[t, :, z], 0, -1))
    tifffile.imwrite(path, image[:, :2], photometric="minisblack", metadata={"axes": "TCZYX"})
    with open_image(path) as file:
        assert file.pages == 16 and np.array_equal(file.read(5), image[0, 1, 1])


@pytest.mark.parametrize("kind", ["shaped", "imagej", "plain", "one header", "volume"])
def test_a_stack_has_pages_however_it_is_written(tmp_path: Path, kind: str):
    stack, path = np.arange(7 * 16 * 32, dtype=np.uint16).reshape(7, 16, 32), tmp_path / "a.tif"
    if kind == "plain":
        with tifffile.TiffWriter(path) as writer:
            for plane in stack:
                writer.write(plane, metadata=None)
    elif kind == "volume":
        tifffile.imwrite(path, stack, volumetric=True, tile=(16, 16, 16), photometric="minisblack")
    elif kind == "one header":
        with tifffile.TiffWriter(path) as writer:
            writer.write(stack, photometric="minisblack", truncate=True)
    else:
        tifffile.imwrite(path, stack, imagej=kind == "imagej", photometric="minisblack")
    with open_image(path) as file:
        assert file.pages == 7
        assert all(np.array_equal(file.read(page), stack[page]) for page in (6, 0, 3))
    with pytest.raises(ImageError, match="stack of 7 pages: say which one"):
        read_image(path)
    with pytest.raises(ImageError, match="no page 7: its pages are 0 to 6"):
        read_image(path, 7)


def test_pages_of_several_sizes_and_levels_of_a_pyramid(tmp_path: Path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((20, 30), np.uint8))
        writer.write(np.ones((25, 30, 3), np.uint8), photometric="rgb")
    assert read_image(path, 0).shape == (20, 30) and read_image(path, 1).shape == (25, 30, 3)
    with tifffile.TiffWriter(tmp_path / "pyramid.ome.tif") as writer:
        writer.write(np.zeros((64, 64), np.uint8), subifds=1)
        writer.write(np.zeros((32, 32), np.uint8), subfiletype=1)
    assert read_image(tmp_path / "pyramid.ome.tif").shape == (64, 64)


@pytest.mark.parametrize("kind", ["tiles", "strips", "one header", "big-endian", "planes of colours", "pages"])
def test_tiffs_are_read_in_windows(tmp_path: Path, kind: str):
    pytest.importorskip("zarr")
    stack, path = np.arange(2 * 64 * 96 * 3, dtype=np.uint16).reshape(2, 64, 96, 3), tmp_path / "a.tif"
    if kind == "tiles":
        with tifffile.TiffWriter(path, ome=True) as writer:
            options = {"tile": (16, 16), "photometric": "rgb", "compression": "zlib"}
            writer.write(stack, subifds=1, **options)
            writer.write(stack[:, ::2, ::2], subfiletype=1, **options)
    elif kind == "planes of colours":
        tifffile.imwrite(path, np.moveaxis(stack[0], -1, 0), photometric="rgb", planarconfig="separate")
    elif kind == "pages":
        with tifffile.TiffWriter(path) as writer:
            for plane in stack:
                writer.write(plane, photometric="rgb", metadata=None, rowsperstrip=8, compression="zlib")
    else:
        options = {"strips": {"rowsperstrip": 16}, "one header": {"truncate": True}, "big-endian": {"byteorder": ">"}}
        tifffile.imwrite(path, stack, photometric="rgb", **options[kind])
    with open_image(path) as file:
        for page in range(file.pages):
            whole, levels = file.read(page), file.levels(page)
            assert len(levels) == 1 + (kind == "tiles")
            assert np.array_equal(levels[0][10:40, 50:96], whole[10:40, 50:96])
        with pytest.raises(ImageError, match="has no page"):
            file.levels(file.pages)


def test_what_needs_more_than_its_pixels_is_read_as_a_whole(tmp_path: Path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RAMP, extratags=[(274, 3, 1, 6, True)])  # lies on its side
    with open_image(path) as file:
        assert not file.levels(0)
    Image.fromarray(RAMP.astype(np.uint8)).convert("P").save(path)
    with open_image(path) as file:
        assert not file.levels(0)


def test_frames_of_an_animation_are_pages(tmp_path: Path):
    frames = [Image.fromarray(np.full((5, 6), 40 * i, dtype=np.uint8)) for i in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with open_image(tmp_path / "a.gif") as file:
        assert [int(file.read(page)[0, 0].max()) for page in (2, 0, 1)] == [80, 0, 40]


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "packbits"])
def test_compressions_that_pillow_knows(tmp_path: Path, compression: str):
    frames = [Image.fromarray(np.full((16, 24), 40 * i + 9, dtype=np.uint8)) for i in range(3)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:], compression=compression)
    assert [int(read_image(tmp_path / "a.tif", page)[3, 3]) for page in range(3)] == [9, 49, 89]


def png(image: np.ndarray) -> bytes:
    """A PNG with 16 bits per channel, which Pillow cannot write."""
    height, width, channels = image.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in image)
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    body = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torchvision")
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colours_of_16_bits_are_kept(tmp_path: Path, channels: int):
    image = np.random.default_rng(0).integers(0, 4000, (5, 7, channels)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(png(image))
    assert np.array_equal(read_image(tmp_path / "a.png"), image)


def test_empty_huge_and_wrongly_named_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match="0 bytes"):
        read_image(tmp_path / "empty.png")
    tifffile.imwrite(tmp_path / "a.png", RAMP)
    assert np.array_equal(read_image(tmp_path / "a.png"), RAMP)
    monkeypatch.setattr("psalm.images.files.MAX_PIXELS", 11)
    Image.fromarray(RAMP).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        with pytest.raises(ImageError, match="3 x 4 pixels, more than"):
            read_image(tmp_path / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(ImageError, match="more than 100 million pixels: cut it"):
        read_image(tmp_path / "b.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".gif", ".webp"])
def test_damaged_files_are_read_or_refused(tmp_path: Path, suffix: str):
    """Cut anywhere, or with bytes changed: an image or an ImageError, and nothing else."""
    chance = random.Random(suffix)
    picture = np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    path = tmp_path / f"a{suffix}"
    Image.fromarray(picture).save(path)
    whole = path.read_bytes()
    refused = 0
    for attempt in range(60):
        damaged = bytearray(whole[: chance.randrange(1, len(whole))] if attempt % 2 else whole)
        for _ in range(3 * (attempt % 3)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(bytes(damaged))
        try:
            with open_image(path) as file:
                assert file.read(0).ndim in (2, 3)
        except ImageError:
            refused += 1
    assert refused > 10
