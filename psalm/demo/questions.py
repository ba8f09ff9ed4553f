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
    Question("coins", "Greek coins", ("coin",), "the coin at the bottom right", (52, 44)),
    Question("cell", "Cell in brightfield", ("cell",), "the cell", (374, 427)),
    Question("chelsea", "Chelsea the cat", ("cat",), "the cat", (200, 190)),
    Question("astronaut", "Eileen Collins", ("person",), "the person", (400, 440)),
    Question("camera", "Photographer", ("person",), "the person on the left", (300, 100)),
    Question("coffee", "Cup of coffee", ("cup", "spoon"), "the cup", (270, 420)),
    Question("motorcycle_left", "Motorcycle in a garage", ("motorcycle",), "the motorcycle", (230, 300)),
)
