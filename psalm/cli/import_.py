"""``psalm import``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from psalm.cli.check import show_faults
from psalm.cli.console import console, progress_bar

if TYPE_CHECKING:
    from psalm.formats import ImportReport, Incoming


class ImportFormat(str, Enum):
    """What can be read into a dataset."""

    COCO = "coco"
    COCO_PANOPTIC = "coco-panoptic"
    YOLO = "yolo"
    MASKS = "masks"


def import_(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder; it is made when there is none.")],
    file: Annotated[Path, typer.Argument(help="The JSON file, the data.yaml or folder of yolo, the folder of masks.")],
    format: Annotated[ImportFormat, typer.Option(help="What the file is.")] = ImportFormat.COCO,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images in which file names start; needed for a new dataset.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="masks of other programs: names of the pixel values 1, 2, ... with commas between them; with "
            "--instances, the one name of all objects."
        ),
    ] = None,
    instances: Annotated[
        bool, typer.Option("--instances", help="masks of other programs: a pixel value is an object, not a class.")
    ] = False,
    state: Annotated[str, typer.Option(help="State of the images that are new to the dataset.")] = "in_review",
    similar: Annotated[
        float,
        typer.Option(min=0, max=1, help="Leave out objects that overlap one of their category by more; 1 adds them."),
    ] = 0.9,
    skip_faulty: Annotated[
        bool, typer.Option("--skip-faulty", help="Leave out entries with faults, and list them.")
    ] = False,
) -> None:
    """Bring annotations of other programs into a dataset; importing a file again adds nothing twice."""
    from psalm.coco.faults import refuse_fatal
    from psalm.formats import merge, read_states
    from psalm.store import AnnotationStore

    states = read_states(state)
    if not states or len(states) != 1:
        raise typer.BadParameter("--state takes one state.")
    if (classes or instances) and format is not ImportFormat.MASKS:
        raise typer.BadParameter(f"--classes and --instances are for masks, not for {format.value}.")
    is_new = not AnnotationStore.exists(dataset)
    if is_new and images is None:
        raise typer.BadParameter(f"{dataset} has no dataset yet: say with --images where the images are.")
    with console.status(f"Reading {escape(str(file))} ..."):
        # Before a new dataset is made: a file that cannot be read should leave nothing behind.
        incoming = _read(file, format, images or _image_root(dataset), classes, instances)
    if not skip_faulty:
        refuse_fatal(file, incoming.faults)
    store = (
        AnnotationStore.open(dataset, actor="import")
        if images is None
        else AnnotationStore.open_or_create(dataset, images, actor="import")
    )
    with store, progress_bar("Importing") as progress:
        report = merge(
            store,
            incoming,
            state=next(iter(states)),
            similar_iou=similar,
            skip_faulty=skip_faulty,
            progress=progress,
        )
    _show(report)


def _image_root(dataset: Path) -> Path:
    from psalm.store import AnnotationStore

    with AnnotationStore.open(dataset, read_only=True) as store:
        return store.image_root


def _read(file: Path, format: ImportFormat, images: Path, classes: str | None, instances: bool) -> Incoming:
    from psalm import formats

    match format:
        case ImportFormat.COCO:
            return formats.read_coco_file(file, images)
        case ImportFormat.COCO_PANOPTIC:
            return formats.read_panoptic(file, images)
        case ImportFormat.YOLO:
            return formats.read_yolo(file, images)
        case ImportFormat.MASKS:
            names = tuple(name.strip() for name in classes.split(",")) if classes else ()
            return formats.read_masks(file, images, classes=names, instances=instances)


def _show(report: ImportReport) -> None:
    console.print(
        f"{report.added} objects added on {report.images} images, {report.known} known already, {report.similar} left "
        "out for looking like one of the dataset.",
        highlight=False,
        soft_wrap=True,
    )
    for note in report.notes:
        console.print(f"[yellow]{escape(note)}[/]", highlight=False, soft_wrap=True)
    if report.faults:
        console.print(f"[yellow]{len(report.faults)} entries were left out:[/]", highlight=False)
        show_faults(list(report.faults))
