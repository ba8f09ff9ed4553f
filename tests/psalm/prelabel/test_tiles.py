from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from psalm.annotations import Annotations, Category
from psalm.conditions import CategoryCondition, SentenceCondition
from psalm.config import PSALMConfig
from psalm.decoding import Thresholds
from psalm.errors import ConditionError, OutputError
from psalm.prelabel.labelling import Labeller
from psalm.prelabel.pipeline import HereEngine
from psalm.prelabel.questions import to_prompt
from psalm.prelabel.records import Item
from psalm.prelabel.run import prelabel
from psalm.prelabel.tiles import name_tiles, read_tiles
from psalm.tiling import TilePlan
from tests.psalm.prelabel.fakes import FakePredictor as Stripes

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
        return [self._answer(image, DISC) for image in images]

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


def test_tiles_are_read_and_named() -> None:
    assert read_tiles("off") is None
    assert read_tiles("auto") == TilePlan()
    assert read_tiles("512") == TilePlan(size=512)
    assert [name_tiles(read_tiles(text)) for text in ("off", "auto", "512")] == ["off", "auto", "512"]
    for text in ("", "0", "-3", "big"):
        with pytest.raises(ConditionError, match="give auto, off, or"):
            read_tiles(text)
