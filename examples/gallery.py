"""Make docs/images/gallery.jpg and failures.jpg: questions about real images that come with scikit-image.

python examples/gallery.py [FOLDER]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from psalm import Annotations, CategoryCondition, PSALMPredictor, SentenceCondition, VisualPriorCondition, read_image
from psalm.demo.images import sample_path
from psalm.overlay import draw_click, draw_overlay

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"
COLUMNS = 4
PANEL = (360, 270)
CAPTION = 30

Point = tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """An image and what is asked about it: a class list, a sentence, a click or a box in pixels (row, column).

    A note says what is wrong with the answer.
    """

    image: str
    classes: tuple[str, ...] = ()
    sentence: str = ""
    click: Point | None = None
    box: tuple[float, float, float, float] | None = None
    note: str = ""

    @property
    def caption(self) -> str:
        """The question in words, and the note."""
        question = f"“{self.sentence}”" if self.sentence else "one click" if self.click else "one box"
        if self.classes:
            question = "class list: " + ", ".join(self.classes)
        return f"{question}: {self.note}" if self.note else question


PANELS = (
    Panel("coins", classes=("coin",)),
    Panel("coins", sentence="the coin at the bottom right"),
    Panel("coins", sentence="the coin at the top right"),
    Panel("coins", sentence="the coin at the top left"),
    Panel("chelsea", sentence="the cat"),
    Panel("camera", classes=("person",)),
    Panel("astronaut", sentence="the person"),
    Panel("motorcycle_left", classes=("motorcycle",)),
    Panel("chelsea", click=(110, 172)),
    Panel("coffee", click=(180, 300)),
    Panel("astronaut", click=(400, 400)),
    Panel("motorcycle_left", box=(240, 490, 450, 680)),
    Panel("rocket", click=(300, 322)),
    Panel("horse", click=(150, 200)),
    Panel("cell", click=(374, 427)),
    Panel("astronaut", click=(60, 200)),
)


FAILURES = (
    Panel("coins", sentence="the rightmost coin", note="another one"),
    Panel("cell", classes=("cell",), note="the edge"),
    Panel("ihc", classes=("nucleus",), note="nothing"),
    Panel("hubble_deep_field", classes=("particle",), note="a few of hundreds"),
    Panel("retina", click=(437, 278), note="a vessel was meant"),
    Panel("astronaut", classes=("person",), note="and a rocket"),
    Panel("coins", sentence="the coin at the bottom left", note="beside it"),
    Panel("gravel", box=(60, 60, 130, 140), note="no stone fills it"),
)


def main(folder: Path = FOLDER) -> None:
    """Ask, draw, save."""
    predictor = PSALMPredictor.from_pretrained("psalm-tiny")
    folder.mkdir(parents=True, exist_ok=True)
    for name, panels in (("gallery", PANELS), ("failures", FAILURES)):
        tiles = [draw(panel, predictor) for panel in panels]
        rows = [np.concatenate(tiles[start : start + COLUMNS], axis=1) for start in range(0, len(tiles), COLUMNS)]
        Image.fromarray(np.concatenate(rows)).save(folder / f"{name}.jpg", quality=88)


def draw(panel: Panel, predictor: PSALMPredictor) -> NDArray[np.uint8]:
    """A panel with its caption."""
    image = read_image(sample_path(panel.image))
    picture = draw_overlay(image, ask(panel, predictor, image), labels=False, min_size=500)
    scale = picture.shape[0] // image.shape[0]
    if panel.click:
        picture = draw_click(picture, panel.click, scale)
    return frame(picture, panel.box and tuple(scale * value for value in panel.box), panel.caption)


def ask(panel: Panel, predictor: PSALMPredictor, image: NDArray[np.generic]) -> Annotations:
    """The answer to a panel's question."""
    predictor.set_image(image)
    if panel.classes:
        return predictor.predict(CategoryCondition(panel.classes))
    if panel.sentence:
        return predictor.predict(SentenceCondition(panel.sentence))
    size = image.shape[:2]
    if panel.click:
        return predictor.predict(VisualPriorCondition.from_points([panel.click], size))
    return predictor.predict(VisualPriorCondition.from_boxes([panel.box], size))


def frame(picture: NDArray[np.uint8], box: tuple[float, ...] | None, caption: str) -> NDArray[np.uint8]:
    """Fit a picture into a panel, the question below."""
    page = Image.fromarray(picture)
    if box:
        top, left, bottom, right = box
        ImageDraw.Draw(page).rectangle((left, top, right, bottom), outline="white", width=max(2, page.width // 200))
    page.thumbnail((PANEL[0] - 8, PANEL[1] - 8))
    panel = Image.new("RGB", (PANEL[0], PANEL[1] + CAPTION), "white")
    panel.paste(page, ((PANEL[0] - page.width) // 2, (PANEL[1] - page.height) // 2))
    place = (PANEL[0] / 2, PANEL[1] + CAPTION / 2)
    ImageDraw.Draw(panel).text(place, caption, fill="black", font=ImageFont.load_default(16), anchor="mm")
    return np.asarray(panel)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="folder for the pictures")
    main(parser.parse_args().folder)
