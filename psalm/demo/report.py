"""The demo's page: one HTML file with its pictures inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.files import write_text
from psalm.overlay import colour_of

if TYPE_CHECKING:
    from psalm.demo.run import Scene

# By this a later demo knows its own folder.
MARKER = "psalm-demo"


@dataclass(frozen=True)
class Row:
    """A line below a picture: one object, with its colour in the picture."""

    colour: str
    name: str
    score: float


def write_report(path: Path | str, scenes: Sequence[Scene], model: str) -> Path:
    """Write the page.

    Parameters
    ----------
    path : path
        The HTML file; nothing else is needed to show it.
    scenes : sequence of Scene
    model : str
        Name of the model, for the heading.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("psalm.demo", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(embed=embed, rows_of=rows_of)
    objects = sum(len(answer.annotations) for scene in scenes for answer in scene.answers)
    page = environment.get_template("report.html").render(
        marker=MARKER, model=model, scenes=scenes, objects=objects, seconds=sum(scene.seconds for scene in scenes)
    )
    return write_text(path, page)


def embed(picture: NDArray[np.uint8]) -> str:
    """An (h, w, 3) uint8 picture as a data URL."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="jpeg", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def rows_of(annotations: Annotations) -> list[Row]:
    """The objects, best score first."""
    rows = []
    for i in np.argsort(-annotations.scores, kind="stable"):
        red, green, blue = colour_of(int(i))
        rows.append(Row(f"#{red:02x}{green:02x}{blue:02x}", annotations.names[i], float(annotations.scores[i])))
    return rows
