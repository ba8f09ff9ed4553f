"""``psalm propagate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from psalm.cli.console import DeviceOption, ModelOption, console, open_predictor, progress_bar
from psalm.errors import ConditionError, OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from psalm.annotations import Category
    from psalm.predictor import PSALMPredictor
    from psalm.video import Frames, KnownFrame


def propagate(
    video: Annotated[Path, typer.Argument(help="Folder of frames, video file, or stack of planes (TIFF).")],
    out: Annotated[Path, typer.Option(help="Folder for the result.")],
    mask: Annotated[
        list[str] | None,
        typer.Option(
            help="INDEX=FILE: a label image for the frame INDEX, counted from 0, in which every value above 0 "
            "is an object; may be given several times."
        ),
    ] = None,
    category: Annotated[str, typer.Option(help="With --mask: the name of the objects' class.")] = "object",
    classes: Annotated[
        str | None, typer.Option(help="Instead of --mask: find the names of this class list in the frame --at.")
    ] = None,
    sentence: Annotated[
        str | None, typer.Option(help="Instead of --mask: find what this names in the frame --at.")
    ] = None,
    at: Annotated[int, typer.Option(min=0, help="The frame that --classes or --sentence is asked of.")] = 0,
    first: Annotated[int, typer.Option(min=0, help="First frame to follow the objects to.")] = 0,
    last: Annotated[int | None, typer.Option(min=0, help="Last frame; the end when not given.")] = None,
    labels: Annotated[bool, typer.Option(help="Also write a label image per frame below labels/.")] = False,
    brake: Annotated[bool, typer.Option(help="Stop at the first frame that is doubted.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier result.")] = False,
    model: ModelOption = "psalm-tiny",
    device: DeviceOption = None,
) -> None:
    """Follow objects that are marked in some frames through a video or stack, and write COCO and YouTube-VIS files."""
    from psalm.video import open_frames

    if not overwrite and (out / "coco.json").exists():
        raise OutputError(f"{out / 'coco.json'} exists: choose another folder, or allow it to be overwritten.")
    frames = open_frames(video)
    predictor = open_predictor(model, device)
    if mask:
        known, categories = _marked(mask, category)
    else:
        known, categories = _found(predictor, frames, at, classes, sentence)
    _follow(predictor, frames, known, categories, out, video.stem, first, last, labels, brake)


def _follow(
    predictor: PSALMPredictor,
    frames: Frames,
    known: list[KnownFrame],
    categories: dict[int, Category],
    out: Path,
    name: str,
    first: int,
    last: int | None,
    labels: bool,
    brake: bool,
) -> None:
    from psalm.video import Tracks
    from psalm.video import propagate as follow

    tracks, doubted = Tracks(frames, name), []
    total = (len(frames) - 1 if last is None else last) - first + 1
    with progress_bar("Following") as show:
        for done, frame in enumerate(follow(predictor, frames, known, first=first, last=last), 1):
            show(min(done, total), total, frames.names[frame.index])
            tracks.add(frame)
            if labels:
                _write_labels(out / "labels" / f"{Path(frames.names[frame.index]).stem}.png", frame.to_labels())
            if frame.doubts:
                doubted.append(f"frame {frame.index}: {', '.join(frame.doubts)}")
                if brake:
                    break
    coco = tracks.write_coco(out / "coco.json", categories, overwrite=True)
    tracks.write_youtube_vis(out / "youtube-vis.json", categories, overwrite=True)
    console.print(f"{len(tracks.ids)} objects followed: {escape(str(coco))}", highlight=False, soft_wrap=True)
    for line in doubted:
        console.print(f"[yellow]{escape(line)}[/]", highlight=False, soft_wrap=True)


def _marked(texts: list[str], name: str) -> tuple[list[KnownFrame], dict[int, Category]]:
    """Frames marked in label images, given as INDEX=FILE."""
    from psalm.annotations import Category
    from psalm.images import read_image
    from psalm.video import KnownFrame

    known = []
    for text in texts:
        index, equals, file = text.partition("=")
        if not equals or not index.strip().isdigit():
            raise ConditionError(f"--mask {text!r} is not INDEX=FILE: write for example --mask 0=first.png.")
        labels = read_image(Path(file))
        if labels.ndim != 2:
            raise ConditionError(f"{file} has the shape {labels.shape}: give a grey image of object numbers.")
        known.append(KnownFrame.from_labels(int(index), labels))
    return known, {i: Category(1, name) for frame in known for i in frame.masks}


def _found(
    predictor: PSALMPredictor, frames: Frames, at: int, classes: str | None, sentence: str | None
) -> tuple[list[KnownFrame], dict[int, Category]]:
    """Objects that the model finds in one frame."""
    from psalm.cli.prelabel import read_classes
    from psalm.conditions import CategoryCondition, SentenceCondition
    from psalm.video import KnownFrame

    if (classes is None) == (sentence is None):
        raise ConditionError("Nothing is marked: give --mask INDEX=FILE, --classes or --sentence.")
    if at >= len(frames):
        raise ConditionError(f"There is no frame {at}: the video has {len(frames)}, counted from 0.")
    condition = SentenceCondition(sentence) if sentence is not None else CategoryCondition(read_classes(str(classes)))
    predictor.set_image(frames[at])
    found = predictor.predict(condition)
    if not len(found):
        raise ConditionError(f"Nothing of that was found in frame {at}: ask another frame (--at), or give --mask.")
    by_id = {category.id: category for category in found.categories}
    categories = {i + 1: by_id[int(category)] for i, category in enumerate(found.category_ids)}
    return [KnownFrame(at, {i + 1: mask for i, mask in enumerate(found.masks)})], categories


def _write_labels(path: Path, labels: NDArray[np.uint32]) -> None:
    from PIL import Image

    from psalm.files import replacing

    with replacing(path) as temporary:
        # 16 bits hold every id that a hand could have painted in a PNG.
        Image.fromarray(labels.astype("uint16")).save(temporary, format="png")
