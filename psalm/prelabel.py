"""Label a folder of images: one COCO file, resumable, and no image can stop the run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psalm.annotations import Annotations
from psalm.coco import CocoWriter, ImageEntry, read_coco
from psalm.conditions import CategoryCondition, Condition, SentenceCondition
from psalm.errors import ConditionError, ImageError, OutputError
from psalm.files import write_text
from psalm.images import read_image, to_rgb8
from psalm.joining import join
from psalm.overlay import draw_overlay, save_picture

if TYPE_CHECKING:
    from psalm.predictor import PSALMPredictor

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_SAVE_SECONDS = 20.0

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Failure:
    """An image that could not be labelled, and why."""

    file_name: str
    reason: str


@dataclass(frozen=True)
class PrelabelReport:
    """What a run did.

    Parameters
    ----------
    annotations : Path
        The COCO file.
    images, objects : int
        Labelled by this run.
    kept : int
        Images that an earlier run had labelled.
    failures : tuple of Failure
    """

    annotations: Path
    images: int
    objects: int
    kept: int
    failures: tuple[Failure, ...]


def prelabel(
    folder: Path | str,
    out: Path | str,
    conditions: Sequence[Condition],
    predictor: PSALMPredictor,
    *,
    score_threshold: float | None = None,
    overlays: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PrelabelReport:
    """Label every image below a folder and write ``coco.json``.

    A second call with the same question goes on where the first one stopped: images already in the file are kept as
    they are. The file is saved every few seconds, and when the run is interrupted. ``prelabel.json`` beside it records
    the question and the files that failed.

    Parameters
    ----------
    folder : path
        Searched with all its subfolders; file names in the result are relative to it.
    out : path
        Folder of the result.
    conditions : sequence of CategoryCondition or SentenceCondition
        What is asked of every image; an image is encoded once for all of them.
    predictor : PSALMPredictor
    score_threshold : float, optional
        Objects with a lower score are left out; the model's own threshold when not given.
    overlays : bool
        Also write a picture per image below ``overlays/``.
    overwrite : bool
        Replace an earlier result instead of going on with it.
    progress : callable, optional
        Called as ``progress(done, total, file_name)`` before each image and once at the end.

    Raises
    ------
    ConditionError
        When nothing is asked, or a condition is made of regions of one image.
    ImageError
        When the folder holds no image.
    OutputError
        When `out` holds the result of another question and `overwrite` is False, or cannot be written.
    """
    folder, out = Path(folder), Path(out)
    question = _question(conditions, predictor, score_threshold)
    paths = find_images(folder, skip=out)
    run = _Run(out, question, overwrite)
    # What was kept may include images that have left the folder; they stay in the file.
    todo = [path for path in paths if path.relative_to(folder).as_posix() not in run.known]
    try:
        for done, path in enumerate(todo):
            name = path.relative_to(folder).as_posix()
            if progress:
                progress(done, len(todo), name)
            try:
                image = to_rgb8(read_image(path))
                predictor.set_image(image)
            except (ImageError, OSError) as error:
                run.fail(name, str(error))
                continue
            found = join([predictor.predict(condition, score_threshold=score_threshold) for condition in conditions])
            run.add(name, found)
            if overlays:
                save_picture(out / "overlays" / f"{name}.png", draw_overlay(image, found))
        if progress:
            progress(len(todo), len(todo), "")
    except BaseException:
        # Also when interrupted: what was labelled is not lost.
        run.save_if_any()
        raise
    run.save()
    return run.report()


def find_images(folder: Path | str, skip: Path | str | None = None) -> list[Path]:
    """Image files below a folder, sorted; hidden files and those below `skip` are left out.

    Raises
    ------
    ImageError
        When the folder does not exist or holds no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ImageError(f"There is no folder {folder}: check the path.")
    found = sorted(_images_below(folder, None if skip is None else _own_pictures(Path(skip), folder)))
    if not found:
        raise ImageError(f"{folder} holds no image: give a folder with {', '.join(sorted(SUFFIXES))} files.")
    return found


def _own_pictures(out: Path, folder: Path) -> Path:
    """What must not be labelled: a result folder below the images; of one that holds the images, its overlays."""
    out, folder = out.resolve(), folder.resolve()
    return out / "overlays" if folder.is_relative_to(out) else out


def _images_below(folder: Path, skip: Path | None) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if skip is None or not path.resolve().is_relative_to(skip):
            yield path


def _question(
    conditions: Sequence[Condition], predictor: PSALMPredictor, score_threshold: float | None
) -> dict[str, Any]:
    if not conditions:
        raise ConditionError("Nothing is asked: give a class list or a sentence.")
    words: list[Any] = []
    for condition in conditions:
        if isinstance(condition, CategoryCondition):
            words.append(list(condition.names))
        elif isinstance(condition, SentenceCondition):
            words.append(condition.text)
        else:
            raise ConditionError("Regions belong to one image: ask a folder with a class list or a sentence.")
    return {"model": predictor.config.name, "conditions": words, "score_threshold": score_threshold}


class _Run:
    """The files of a run: what an earlier one left, and what this one adds."""

    def __init__(self, out: Path, question: dict[str, Any], overwrite: bool) -> None:
        self._coco, self._record = out / "coco.json", out / "prelabel.json"
        self._question = question
        self._failures: list[Failure] = []
        self._images = self._objects = 0
        self.known: set[str] = set()
        resume = self._coco.exists() and not overwrite
        if resume:
            self._check_question()
        self._writer = CocoWriter(self._coco, overwrite=True)
        self._next_id = 1
        if resume:
            self._keep()
        self._saved = time.monotonic()

    def _check_question(self) -> None:
        cure = "choose another output folder, or allow it to be overwritten (--overwrite)."
        try:
            earlier = json.loads(self._record.read_text(encoding="utf-8"))["question"]
        except (OSError, ValueError, KeyError, TypeError):
            raise OutputError(f"{self._coco} was not written by this command: {cure}") from None
        differing = [key for key, value in self._question.items() if earlier.get(key) != value]
        if differing:
            names = ", ".join(key.replace("_", " ") for key in differing)
            raise OutputError(f"{self._coco} answers another question ({names} differ): {cure}")

    def _keep(self) -> None:
        earlier = read_coco(self._coco)
        for image in earlier.images:
            self._writer.add(image, earlier.annotations_of(image, crowd=True))
            self.known.add(image.file_name)
            self._next_id = max(self._next_id, image.id + 1)

    def add(self, file_name: str, found: Annotations) -> None:
        """Take over the objects of an image; the files are saved every few seconds."""
        self._writer.add(ImageEntry(self._next_id, file_name, *found.size), found)
        self._next_id += 1
        self._images += 1
        self._objects += len(found)
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self.save()

    def fail(self, file_name: str, reason: str) -> None:
        """Remember an image that could not be labelled."""
        self._failures.append(Failure(file_name, reason))

    def save_if_any(self) -> None:
        """Save, unless nothing was labelled."""
        if self._images:
            self.save()

    def save(self) -> None:
        """Write both files."""
        failed = [{"file_name": failure.file_name, "reason": failure.reason} for failure in self._failures]
        record = {"question": self._question, "failed": failed}
        # The record goes first: without it, a later run would not know its own file.
        write_text(self._record, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        self._writer.save()
        self._saved = time.monotonic()

    def report(self) -> PrelabelReport:
        return PrelabelReport(self._coco, self._images, self._objects, len(self.known), tuple(self._failures))
