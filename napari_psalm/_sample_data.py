"""Sample images for File > Open Sample: those that come with scikit-image, each with a class list to start from."""

from __future__ import annotations

from typing import Any


def coins() -> list[tuple[Any, dict[str, Any], str]]:
    """Greek coins from Pompeii, grey, 303 x 384."""
    return _sample("coins", "coin")


def cell() -> list[tuple[Any, dict[str, Any], str]]:
    """A cell floating in saline, quantitative phase image, grey, 660 x 550."""
    return _sample("cell", "cell")


def cat() -> list[tuple[Any, dict[str, Any], str]]:
    """Chelsea the cat, RGB, 300 x 451."""
    return _sample("cat", "cat")


def coffee() -> list[tuple[Any, dict[str, Any], str]]:
    """A cup of coffee, RGB, 400 x 600."""
    return _sample("coffee", "cup", "spoon")


def tissue() -> list[tuple[Any, dict[str, Any], str]]:
    """Immunohistochemical staining of colonic glands, RGB, 512 x 512."""
    return _sample("immunohistochemistry", "nucleus", "gland")


def _sample(name: str, *classes: str) -> list[tuple[Any, dict[str, Any], str]]:
    from skimage import data

    image = getattr(data, name)()
    attributes = {"name": name, "rgb": image.ndim == 3, "metadata": {"psalm": {"categories": list(classes)}}}
    return [(image, attributes, "image")]
