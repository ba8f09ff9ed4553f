"""Ask the demo's questions and keep the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from psalm.annotations import Annotations
from psalm.coco import CocoWriter, ImageEntry
from psalm.conditions import CategoryCondition, SentenceCondition, VisualPriorCondition
from psalm.demo.images import sample_path
from psalm.demo.questions import QUESTIONS, Question
from psalm.demo.report import MARKER, write_report
from psalm.errors import OutputError
from psalm.images import read_image, to_rgb8
from psalm.joining import join
from psalm.overlay import draw_click, draw_overlay, save_picture

if TYPE_CHECKING:
    from psalm.predictor import PSALMPredictor

# Small pictures are enlarged to this, so that labels can be read.
PICTURE_SIZE = 720

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Answer:
    """One answer of the demo.

    Parameters
    ----------
    kind : str
        "Class list", "Sentence" or "Click".
    prompt : str
        What was asked, in words.
    annotations : Annotations
    picture : (h, w, 3) array of uint8
        The overlay.
    file_name : str
        Where the overlay lies, relative to the demo's folder.
    """

    kind: str
    prompt: str
    annotations: Annotations
    picture: NDArray[np.uint8]
    file_name: str


@dataclass(frozen=True)
class Scene:
    """One image of the demo with its answers; `seconds` is what the model took."""

    question: Question
    image: NDArray[np.uint8]
    answers: tuple[Answer, ...]
    seconds: float


def run_demo(
    out: Path | str,
    predictor: PSALMPredictor,
    questions: Sequence[Question] = QUESTIONS,
    progress: Progress | None = None,
) -> Path:
    """Answer the questions and write ``coco.json``, ``images/``, ``overlays/`` and ``index.html``.

    Parameters
    ----------
    out : path
        New or empty, or the folder of an earlier demo, which is replaced file by file.
    predictor : PSALMPredictor
    questions : sequence of Question
    progress : callable, optional
        Called as ``progress(done, total, title)`` before each image and once at the end.

    Returns
    -------
    Path
        The HTML page.

    Raises
    ------
    OutputError
        When `out` holds other files, or cannot be written.
    """
    out = Path(out)
    _check_folder(out)
    # An empty page first: by it, an interrupted demo's folder is known as one.
    page = write_report(out / "index.html", [], predictor.config.name)
    scenes: list[Scene] = []
    with CocoWriter(out / "coco.json", overwrite=True) as coco:
        for position, question in enumerate(questions):
            if progress:
                progress(position, len(questions), question.title)
            scene = answer(question, predictor)
            save_picture(out / "images" / f"{question.image}.png", scene.image)
            for item in scene.answers:
                save_picture(out / item.file_name, item.picture)
            found = join([item.annotations for item in scene.answers])
            coco.add(ImageEntry(position + 1, f"{question.image}.png", *found.size), found)
            scenes.append(scene)
    write_report(page, scenes, predictor.config.name)
    if progress:
        progress(len(questions), len(questions), "")
    return page


def answer(question: Question, predictor: PSALMPredictor) -> Scene:
    """Put the three questions to one image, which is encoded once."""
    image = to_rgb8(read_image(sample_path(question.image)))
    shape = (image.shape[0], image.shape[1])
    asked = (
        ("Class list", ", ".join(question.classes), CategoryCondition(question.classes)),
        ("Sentence", question.sentence, SentenceCondition(question.sentence)),
        ("Click", "at row {:g}, column {:g}".format(*question.click), _click(question, shape, predictor)),
    )
    start = time.perf_counter()
    predictor.set_image(image)
    found = [predictor.predict(condition) for _, _, condition in asked]
    seconds = time.perf_counter() - start
    answers = []
    for (kind, prompt, _), objects in zip(asked, found, strict=True):
        picture = draw_overlay(image, objects, min_size=PICTURE_SIZE)
        if kind == "Click":
            picture = draw_click(picture, question.click, picture.shape[0] // image.shape[0])
        file_name = f"overlays/{question.image}-{kind.lower().replace(' ', '-')}.png"
        answers.append(Answer(kind, prompt, objects, picture, file_name))
    return Scene(question, image, tuple(answers), seconds)


def _click(question: Question, shape: tuple[int, int], predictor: PSALMPredictor) -> VisualPriorCondition:
    return VisualPriorCondition.from_points([question.click], shape, predictor.config.point_radius)


def _check_folder(out: Path) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    page = out / "index.html"
    if not (page.is_file() and MARKER in page.read_text(encoding="utf-8", errors="replace")[:2000]):
        raise OutputError(f"{out} holds files that no demo made: choose another folder, or empty it.")
