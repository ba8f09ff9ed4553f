"""Plurals and colour words for rule-made sentences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey")

# What else people call it; used in place of the name, never beside it.
ALIASES: dict[str, tuple[str, ...]] = {
    "nucleus": ("cell", "cell", "cell nucleus"),
    "red blood cell": ("cell", "blood cell", "erythrocyte"),
    "bacterium": ("microbe", "rod-shaped bacterium", "cell"),
    "particle": ("spot", "speck", "dot"),
    "bubble": ("droplet", "air bubble"),
    "person": ("human", "pedestrian"),
    "car": ("automobile", "vehicle"),
    "bus": ("coach", "vehicle"),
    "motorcycle": ("motorbike", "vehicle"),
    "train": ("vehicle",),
    "truck": ("lorry", "vehicle"),
    "cat": ("kitten", "animal"),
    "bear": ("animal",),
    "bird": ("animal",),
    "cow": ("cattle", "animal"),
    "deer": ("animal",),
    "dog": ("puppy", "animal"),
    "giraffe": ("animal",),
    "goat": ("animal",),
    "horse": ("pony", "animal"),
    "elephant": ("animal",),
    "monkey": ("ape", "animal"),
    "otter": ("animal",),
    "tiger": ("big cat", "animal"),
    "turtle": ("tortoise", "animal"),
    "glass bottle": ("bottle",),
    "plastic bottle": ("bottle",),
    "corn kernel": ("kernel", "corn", "seed", "grain"),
    "spherical nanoparticle": ("nanoparticle", "particle"),
    "cubic nanoparticle": ("nanoparticle", "particle", "cube"),
    "octahedral nanoparticle": ("nanoparticle", "particle"),
    "mushroom": ("fungus",),
    "embryo": ("egg",),
    "iron ore pellet": ("pellet", "stone"),
    "coke lump": ("lump", "stone"),
    "sinter lump": ("lump", "stone"),
    "pothole": ("hole in the road", "hole"),
    "building": ("house",),
    "circle": ("disc", "round shape"),
    "diamond": ("rhombus",),
    "cross": ("plus sign",),
    "ellipse": ("oval",),
    "crescent": ("moon",),
}

_IRREGULAR = {
    "nucleus": "nuclei",
    "bacterium": "bacteria",
    "person": "people",
    "mouse": "mice",
    "knife": "knives",
    "fungus": "fungi",
    "hole in the road": "holes in the road",
    "scarf": "scarves",
}
_SAME = frozenset(
    ("pants", "jeans", "shorts", "leggings", "tights", "stockings", "socks", "shoes", "boots", "sandals", "sneakers",
     "heels", "flats", "pumps", "loafers", "glasses", "sunglasses", "earrings", "scissors", "gloves", "accessories",
     "stairs", "deer", "sheep", "cattle", "skin", "hair", "vegetation", "grass", "snow", "water", "sky", "dirt", "food",
     "corn", "paper", "cardboard", "pavement", "broccoli", "fish")
)  # fmt: skip


def plural(name: str) -> str:
    """The plural of a noun phrase: ``"corn kernel"`` gives ``"corn kernels"``, ``"nucleus"`` gives ``"nuclei"``."""
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    head, _, last = name.rpartition(" ")
    if last in _SAME:
        word = last
    elif last in _IRREGULAR:
        word = _IRREGULAR[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        word = last + "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        word = last[:-1] + "ies"
    else:
        word = last + "s"
    return f"{head} {word}".strip()


def colour_name(pixels: NDArray[np.uint8], share: float = 0.6) -> str | None:
    """The colour that most of an object has, or None where no colour is clear.

    Parameters
    ----------
    pixels : (N, 3) array of uint8
        RGB values of the object.
    share : float
        Part of the pixels that must agree.
    """
    if len(pixels) == 0:
        return None
    counts = np.bincount(_colour_index(pixels[:: len(pixels) // 400 + 1]), minlength=len(COLOURS) + 1)
    best = int(counts[:-1].argmax())
    return COLOURS[best] if counts[best] >= share * counts.sum() else None


def _colour_index(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Position in `COLOURS` per pixel (N, 3); ``len(COLOURS)`` where the colour lies between two words."""
    rgb = pixels.astype(np.float32) / 255
    value, low = rgb.max(axis=1), rgb.min(axis=1)
    chroma = np.maximum(value - low, 1e-6)
    red, green, blue = rgb.T
    hue = np.select(
        [value == red, value == green],
        [((green - blue) / chroma) % 6, (blue - red) / chroma + 2],
        (red - green) / chroma + 4,
    )
    hue = hue * 60
    saturation = (value - low) / np.maximum(value, 1e-6)
    vivid = (saturation > 0.35) & (value > 0.2)
    warm = (hue < 42) & (hue >= 8)
    conditions = [
        value < 0.2,
        (saturation < 0.12) & (value > 0.85),
        (saturation < 0.13) & (value > 0.3) & (value < 0.72),
        vivid & warm & (value < 0.58),
        vivid & warm & (hue >= 15) & (saturation > 0.6) & (value > 0.75),
        vivid & ((hue < 12) | (hue >= 347)) & (saturation > 0.5) & (value > 0.35),
        vivid & (hue >= 45) & (hue < 66) & (value > 0.55),
        vivid & (hue >= 75) & (hue < 165),
        vivid & (hue >= 195) & (hue < 250),
        vivid & (hue >= 258) & (hue < 305) & (value < 0.85),
        (hue >= 310) & (hue < 350) & (saturation > 0.2) & (value > 0.75),
    ]
    words = ("black", "white", "grey", "brown", "orange", "red", "yellow", "green", "blue", "purple", "pink")
    return np.select(conditions, [COLOURS.index(word) for word in words], len(COLOURS)).astype(np.int64)
