"""A dataset as one HTML page with its pictures inside."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psalm.files import write_text
from psalm.overlay import draw_overlay
from psalm.prelabel.dataset import Run
from psalm.prelabel.output import picture_of
from psalm.prelabel.summary import BINS, RatedImage, Summary, summarise
from psalm.store import AnnotationStore, ImageState

REPORT_NAME = "report.html"
_THUMBNAIL = 480


@dataclass(frozen=True)
class Thumbnail:
    """A labelled image, small.

    Parameters
    ----------
    rated : RatedImage
    source : str
        Data URL; empty when the image cannot be read any more.
    """

    rated: RatedImage
    source: str

    @property
    def name(self) -> str:
        """The file, with its page where it is not the first."""
        image = self.rated.image
        return f"{image.path} (page {image.page})" if image.page else image.path


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram, in percent of its drawing."""

    left: float
    width: float
    height: float
    title: str


def write_page(store: AnnotationStore, path: Path | str, pictures: int = 8) -> Path:
    """Write the report of a dataset.

    Parameters
    ----------
    store : AnnotationStore
    path : path
        The HTML file; nothing else is needed to show it.
    pictures : int
        How many of the most and of the least certain images are shown.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    summary = summarise(store, pictures)
    environment = Environment(
        loader=PackageLoader("psalm.prelabel", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(bars=bars, question=question, seconds=seconds, hexadecimal=hexadecimal)
    page = environment.get_template("report.html").render(
        name=store.dataset.resolve().name,
        image_root=store.image_root,
        written=datetime.now().astimezone().strftime("%d %B %Y, %H:%M"),
        summary=summary,
        states=[(state.value.replace("_", " "), n) for state, n in summary.states.items() if n],
        failed=summary.states[ImageState.FAILED],
        all_scores=all_scores(summary),
        most=[thumbnail(store, rated) for rated in summary.most_certain],
        least=[thumbnail(store, rated) for rated in summary.least_certain],
        largest=max((each.objects for each in summary.classes), default=0),
    )
    return write_text(path, page)


def thumbnail(store: AnnotationStore, rated: RatedImage) -> Thumbnail:
    """A picture of an image with its masks in the colours of their categories."""
    drawn = picture_of(store, rated.image, _THUMBNAIL)
    if drawn is None:
        return Thumbnail(rated, "")
    pixels, found = drawn
    colours = {category.id: category.colour for category in store.categories()}
    chosen = [colours[int(category_id)] for category_id in found.category_ids]
    return Thumbnail(rated, embed(draw_overlay(pixels, found, labels=False, colours=chosen)))


def embed(picture: NDArray[np.uint8]) -> str:
    """An (h, w, 3) uint8 picture as a data URL."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="jpeg", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def bars(counts: list[int]) -> list[Bar]:
    """A histogram of scores; the highest bar fills its drawing."""
    highest = max(max(counts), 1)
    return [
        Bar(
            100 * i / BINS,
            100 / BINS,
            max(100 * n / highest, 1.5) if n else 0,
            f"{i / BINS:.2f} to {(i + 1) / BINS:.2f}: {n}",
        )
        for i, n in enumerate(counts)
    ]


def all_scores(summary: Summary) -> list[int]:
    """The histogram over all categories."""
    return [int(n) for n in np.sum([each.scores for each in summary.classes] or [[0] * BINS], axis=0)]


def question(run: Run) -> list[str]:
    """What a run asked, in words."""
    words: dict[str, Any] = {
        "categories": lambda prompt: ", ".join(prompt["names"]),
        "sentence": lambda prompt: f"“{prompt['text']}”",
        "exemplar": lambda prompt: ", ".join(f"like {each['name']} in {each['image']}" for each in prompt["exemplars"]),
    }
    return [words.get(str(prompt["kind"]), lambda each: str(each["kind"]))(prompt) for prompt in run.prompts]


def seconds(value: float) -> str:
    """A duration in words."""
    if value < 100:
        return f"{value:.1f} s"
    hours, minutes = divmod(round(value / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def hexadecimal(colour: tuple[int, int, int]) -> str:
    """A colour for CSS."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
