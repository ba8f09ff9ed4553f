"""``psalm export``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from psalm.cli.console import console

if TYPE_CHECKING:
    from psalm.formats import ExportReport
    from psalm.store import AnnotationStore


class ExportFormat(str, Enum):
    """What a dataset can be written as."""

    COCO = "coco"
    COCO_PANOPTIC = "coco-panoptic"
    YOLO = "yolo"
    MASKS = "masks"
    GEOJSON = "geojson"


class PolygonStyle(str, Enum):
    """How polygons stand for masks."""

    EXACT = "exact"
    SIMPLIFIED = "simplified"


class Overlaps(str, Enum):
    """What is done where objects overlap and the format cannot hold that."""

    REFUSE = "refuse"
    CROP = "crop"


def export(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder, with the psalm.db in it.")],
    out: Annotated[Path, typer.Option(help="The file of coco, the folder of all other formats.")],
    format: Annotated[ExportFormat, typer.Option(help="What to write.")] = ExportFormat.COCO,
    polygons: Annotated[
        PolygonStyle | None,
        typer.Option(
            help="coco and yolo: polygons that give the same masks again, or simpler ones; coco has RLE when "
            "not given, yolo exact ones."
        ),
    ] = None,
    min_iou: Annotated[
        float, typer.Option(min=0, max=1, help="Least overlap of a simplified polygon with its mask.")
    ] = 0.95,
    states: Annotated[
        str | None,
        typer.Option(
            help="Only images in these states, as verified,in_review; all for every image. When not given, "
            "images that nobody has looked at and that have no objects are left out."
        ),
    ] = None,
    overlaps: Annotated[
        Overlaps,
        typer.Option(
            help="coco-panoptic and masks cannot hold overlapping objects: refuse, or crop those with the lower score."
        ),
    ] = Overlaps.REFUSE,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
) -> None:
    """Write a dataset for other programs, and prove that every mask can be read back."""
    from psalm.store import AnnotationStore

    _check_options(format, polygons, overlaps)
    with AnnotationStore.open(dataset, read_only=True) as store, console.status("Writing, and reading it back ..."):
        report = _write(store, format, out, polygons, min_iou, states, overlaps, overwrite)
    left_out = f" ({report.left_out} images left out)" if report.left_out else ""
    console.print(
        f"{report.objects} objects on {report.images} images{left_out}: {escape(str(report.path))}",
        highlight=False,
        soft_wrap=True,
    )
    for note in report.notes:
        console.print(f"[yellow]{escape(note)}[/]", highlight=False, soft_wrap=True)


def _check_options(format: ExportFormat, polygons: PolygonStyle | None, overlaps: Overlaps) -> None:
    if polygons and format not in (ExportFormat.COCO, ExportFormat.YOLO):
        raise typer.BadParameter(f"--polygons is for coco and yolo, not for {format.value}.")
    if overlaps is Overlaps.CROP and format not in (ExportFormat.COCO_PANOPTIC, ExportFormat.MASKS):
        raise typer.BadParameter(
            f"--overlaps is for coco-panoptic and masks; {format.value} holds overlapping objects."
        )


def _write(
    store: AnnotationStore,
    format: ExportFormat,
    out: Path,
    polygons: PolygonStyle | None,
    min_iou: float,
    states: str | None,
    overlaps: Overlaps,
    overwrite: bool,
) -> ExportReport:
    from psalm import formats

    chosen = formats.read_states(states)
    crop = overlaps is Overlaps.CROP
    style = None if polygons is None else formats.Polygons(polygons.value)
    match format:
        case ExportFormat.COCO:
            return formats.export_coco(store, out, polygons=style, min_iou=min_iou, states=chosen, overwrite=overwrite)
        case ExportFormat.YOLO:
            return formats.export_yolo(
                store,
                out,
                polygons=style or formats.Polygons.EXACT,
                min_iou=min_iou,
                states=chosen,
                overwrite=overwrite,
            )
        case ExportFormat.COCO_PANOPTIC:
            return formats.export_panoptic(store, out, crop=crop, states=chosen, overwrite=overwrite)
        case ExportFormat.MASKS:
            return formats.export_masks(store, out, crop=crop, states=chosen, overwrite=overwrite)
        case ExportFormat.GEOJSON:
            return formats.export_geojson(store, out, states=chosen, overwrite=overwrite)
