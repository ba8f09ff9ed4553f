from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from psalm.annotations import Annotations, Category
from psalm.cli.main import app
from psalm.conditions import CategoryCondition, SentenceCondition, VisualPriorCondition
from psalm.config import PSALMConfig
from psalm.decoding import Thresholds
from psalm.errors import ConditionError, OutputError
from psalm.images.tiff_file import TiffFile
from psalm.images.zarr_folder import ZarrFolder
from psalm.predictor import PSALMPredictor
from psalm.prelabel import labelling
from psalm.prelabel.labelling import Labeller
from psalm.prelabel.pipeline import HereEngine
from psalm.prelabel.questions import to_prompt, to_regions
from psalm.prelabel.records import Item
from psalm.prelabel.run import prelabel
from psalm.prelabel.tiles import name_tiles, read_tiles
from psalm.tiling import TilePlan, predict_tiled
from tests.psalm.prelabel.fakes import FakePredictor as Stripes
from tests.psalm.zarr_images import write_ome_zarr

DISC = CategoryCondition(["disc"])


class DiscFinder(Stripes):
    """Finds bright discs that are large enough where it sees them, ten at most."""

    def __init__(self) -> None:
        super().__init__()
        self.config: Any = PSALMConfig.small(image_size=64, num_mask_tokens=10)
        self.thresholds: Any = Thresholds()
        self.tiles: list[tuple[int, ...]] = []

    def predict_batch(self, images: Sequence[Any], condition: Any, *rest: Any) -> list[Annotations]:
        self.tiles += [image.shape[:2] for image in images]
        return [self._answer(image, one) for image, one in zip(images, condition, strict=True)]

    def _answer(self, pixels: Any, condition: Any) -> Annotations:
        size = pixels.shape[:2]
        if isinstance(condition, SentenceCondition):
            return Annotations(np.ones((1, *size), bool), np.ones(1), np.full(1, 0.9), (Category(1, "all"),), ("all",))
        labels, count = ndimage.label(pixels[..., 0] > 100)
        step = max(max(size) / 64, 1)
        masks = [mask for i in range(count) if (mask := labels == i + 1).sum() / step**2 >= 9][:10]
        stack = np.stack(masks) if masks else np.zeros((0, *size), dtype=bool)
        ones = np.ones(len(stack))
        return Annotations(stack, ones, 0.9 * ones, (Category(1, "disc"),), ("disc",) * len(stack))


def _field(folder: Path, name: str, side: int, step: int) -> int:
    """A picture of discs on a grid; returns how many there are."""
    rows, columns = np.ogrid[:side, :side]
    row, column = (np.abs(pixels % step - step // 2) for pixels in (rows, columns))
    pixels = (row**2 + column**2 <= 16) * np.uint8(200)
    Image.fromarray(pixels).save(folder / name)
    return (side // step) ** 2


def _items(*names: str, condition: Any = DISC) -> list[Item]:
    return [Item(i, name, 0, (to_prompt(condition),)) for i, name in enumerate(names)]


def _engine(folder: Path, tiles: str, predictor: DiscFinder | None = None) -> HereEngine:
    found: Any = predictor or DiscFinder()
    return HereEngine(Labeller(found, folder, tiles=read_tiles(tiles)), 2)


def test_large_images_are_cut_and_small_ones_are_not(tmp_path: Path) -> None:
    count = _field(tmp_path, "large.png", 384, 32)
    few = _field(tmp_path, "small.png", 64, 32)
    large, small = _engine(tmp_path, "auto").outcomes(_items("large.png", "small.png"))
    assert len(large.objects) == count
    assert "tiles" in large.tiles
    assert "more than 2 times" in large.tiles
    assert large.objects[0].rle["size"] == [384, 384]
    assert (len(small.objects), small.tiles) == (few, "")
    plain = next(iter(_engine(tmp_path, "off").outcomes(_items("large.png"))))
    assert (len(plain.objects), plain.tiles) == (0, "")


def test_an_image_with_too_many_objects_is_asked_again_in_quarters(tmp_path: Path) -> None:
    count = _field(tmp_path, "crowd.png", 128, 21)
    plain = next(iter(_engine(tmp_path, "off").outcomes(_items("crowd.png"))))
    assert len(plain.objects) < count
    crowd = next(iter(_engine(tmp_path, "auto").outcomes(_items("crowd.png"))))
    assert "asked again in quarters" in crowd.tiles
    assert len(crowd.objects) > len(plain.objects)


def test_the_side_of_a_tile_may_be_given(tmp_path: Path) -> None:
    _field(tmp_path, "large.png", 384, 32)
    predictor = DiscFinder()
    next(iter(_engine(tmp_path, "96", predictor).outcomes(_items("large.png"))))
    assert max(max(size) for size in predictor.tiles) <= 96


def test_a_sentence_is_asked_of_the_whole_image(tmp_path: Path) -> None:
    _field(tmp_path, "large.png", 384, 32)
    outcome = next(iter(_engine(tmp_path, "auto").outcomes(_items("large.png", condition=SentenceCondition("all")))))
    assert (len(outcome.objects), outcome.tiles) == (1, "")


def test_the_report_counts_images_in_tiles_and_another_tiling_is_another_question(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    _field(folder, "large.png", 384, 32)
    _field(folder, "small.png", 64, 32)
    finder: Any = DiscFinder()
    report = prelabel(folder, tmp_path / "out", [DISC], finder, tiles=TilePlan())
    assert (report.images, report.tiled) == (2, 1)
    assert "1 image in tiles (auto)" in report.page.read_text()
    assert prelabel(folder, tmp_path / "out", [DISC], finder, tiles=TilePlan()).images == 0
    with pytest.raises(OutputError, match="tiles differ"):
        prelabel(folder, tmp_path / "out", [DISC], finder)


def test_images_that_the_given_object_size_does_not_fit_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    _field(folder, "discs.png", 128, 32)
    Image.fromarray(np.zeros((128, 128), dtype=np.uint8)).save(folder / "empty.png")
    monkeypatch.setattr(PSALMPredictor, "from_pretrained", lambda *args, **kwargs: DiscFinder())

    def told(size: int) -> str:
        out = tmp_path / f"out-{size}"
        call = ["prelabel", folder, "--classes", "disc", "--out", out, "--tiles", f"objects:{size}"]
        result = CliRunner().invoke(app, [str(word) for word in call])
        assert result.exit_code == 0 and "2 images labelled, 16 objects" in result.output, result.output
        return result.output

    fitting = told(8)
    assert "may not fit 1 image:" in fitting and "empty.png: In tiles for objects 8 pixels across nothing" in fitting
    wrong = told(30)
    assert "may not fit 2 images:" in wrong and "about 8 pixels across, not 30" in wrong


@pytest.mark.parametrize("tiles", ["auto", "off", "96", "objects:20"])
def test_a_large_image_is_read_in_windows_and_answered_as_by_the_python_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiles: str
) -> None:
    monkeypatch.setattr(labelling, "PIXELS_AT_ONCE", 10_000)
    _field(tmp_path, "large.png", 384, 32)
    pixels = np.asarray(Image.open(tmp_path / "large.png"))
    write_ome_zarr(tmp_path / "large.ome.zarr", pixels)
    with tifffile.TiffWriter(tmp_path / "large.tif") as file:
        file.write(pixels, subifds=1, tile=(64, 64))
        file.write(pixels[::2, ::2], subfiletype=1, tile=(64, 64))
    for reader in (ZarrFolder, TiffFile):
        monkeypatch.setattr(reader, "read", lambda self, page: pytest.fail("The whole image was read."))
    names = ["large.ome.zarr", "large.tif"]
    finder: Any = DiscFinder()
    for name, outcome in zip(names, _engine(tmp_path, tiles).outcomes(_items(*names)), strict=True):
        plan = read_tiles(tiles) or TilePlan(factor=100, most_objects=1000)
        expected = predict_tiled(finder, tmp_path / name, DISC, plan, score_threshold=0.25).objects
        assert (outcome.error, outcome.height, outcome.width) == ("", 384, 384)
        assert [found.rle for found in outcome.objects] == expected.rles()
        assert len(expected) == (0 if tiles == "off" else 144)
        assert bool(outcome.tiles) == (tiles != "off")


def test_sentences_and_regions_of_a_large_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling, "PIXELS_AT_ONCE", 10_000)
    write_ome_zarr(tmp_path / "a.zarr", np.zeros((200, 300), np.uint8))
    (outcome,) = _engine(tmp_path, "auto").outcomes(_items("a.zarr", condition=SentenceCondition("all")))
    assert [found.rle["size"] for found in outcome.objects] == [[200, 300]]
    regions = to_regions(to_prompt(VisualPriorCondition.from_boxes([[10, 20, 30, 50]], (200, 300))))
    assert (regions.size, regions.kinds, regions.cutouts[0].box) == ((200, 300), ("box",), (10, 20, 30, 50))
    with pytest.raises(ConditionError, match="ask them anew"):
        to_regions({"kind": "regions", "masks": []})


def test_damaged_windows_fail_their_image_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling, "PIXELS_AT_ONCE", 10_000)
    for name in ("a.zarr", "b.zarr"):
        write_ome_zarr(tmp_path / name, np.full((200, 300), 9, np.uint8))
    next(path for path in (tmp_path / "a.zarr/0/c").rglob("*") if path.is_file()).write_bytes(b"nothing")
    bad, good = _engine(tmp_path, "auto").outcomes(_items("a.zarr", "b.zarr"))
    assert bad.error.startswith("a.zarr cannot be read") and not good.error
    monkeypatch.setattr(labelling, "MAX_PIXELS", 50_000)
    (huge,) = _engine(tmp_path, "auto").outcomes(_items("b.zarr"))
    assert "200 x 300 pixels, more than" in huge.error


def test_tiles_are_read_and_named() -> None:
    assert read_tiles("off") is None
    assert read_tiles("auto") == TilePlan()
    assert read_tiles("512") == TilePlan(size=512)
    assert read_tiles("objects:128") == TilePlan(object_size=128)
    for text in ("off", "auto", "512", "objects:128"):
        assert name_tiles(read_tiles(text)) == text
    for text in ("", "0", "-3", "big", "objects:", "objects:0", "objects:big"):
        with pytest.raises(ConditionError, match="give auto, off, the side"):
            read_tiles(text)
