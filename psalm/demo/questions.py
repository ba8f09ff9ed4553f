"""What the demo asks of each image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A class list, a sentence and a click for one sample image.

    Parameters
    ----------
    image : str
        Name of an image in scikit-image's wheel.
    title : str
    classes : tuple of str
    sentence : str
    click : (row, column)
        In pixels of the image.
    """

    image: str
    title: str
    classes: tuple[str, ...]
    sentence: str
    click: tuple[float, float]


QUESTIONS = (
    Question("coins", "Greek coins", ("coin",), "the biggest coin", (52, 44)),
    Question("cell", "Cell in brightfield", ("cell",), "the bright cell", (374, 427)),
    Question("ihc", "Stained tissue", ("nucleus",), "the gland at the bottom", (418, 330)),
    Question("chelsea", "Chelsea the cat", ("cat",), "the cat", (200, 190)),
    Question("astronaut", "Eileen Collins", ("person", "helmet"), "the person", (400, 440)),
    Question("camera", "Photographer", ("person", "camera"), "the person on the left", (300, 100)),
    Question("coffee", "Cup of coffee", ("cup", "spoon", "plate"), "the cup", (270, 420)),
    Question("rocket", "Rocket at night", ("rocket",), "the rocket in the middle", (240, 322)),
)
