"""A dataset as YOLO segmentation labels: a text file per image, a line per object."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import yaml

from psalm.coco.polygons import exact_polygons, joined_polygon, simplified_polygons
from psalm.coco.rle import cut_out, to_rle
from psalm.errors import AnnotationError
from psalm.formats.coco_export import Polygons
from psalm.formats.extras import category_entry, image_entry
from psalm.formats.folders import INDEX, new_folder
from psalm.formats.json_lists import write_lists
from psalm.formats.proof import compare_masks, disprove
from psalm.formats.records import ExportReport, Labelled
from psalm.formats.selection import Selection
from psalm.formats.stems import Stems
from psalm.store import AnnotationStore, ImageState, StoredObject

DATA, LABELS = "data.yaml", "labels"


def export_yolo(
    store: AnnotationStore,
    out: Path | str,
    *,
    polygons: Polygons = Polygons.EXACT,
    min_iou: float = 0.95,
    states: Collection[ImageState] | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write ``data.yaml`` and the text files of the folder ``labels``, and read them back.

    A line holds one polygon, so the parts of an object are joined by lines without width, and holes hang on the
    outline. Filled by counting crossings, an exact polygon is exactly the mask.

    Parameters
    ----------
    store : AnnotationStore
    out : path
        Folder.
    polygons : Polygons
    min_iou : float
        Least overlap of a simplified polygon with its mask.
    states : collection of ImageState, optional
        See `Selection`.
    overwrite : bool
        Replace an earlier export.

    Raises
    ------
    OutputError
        When the folder has other content, or cannot be written.
    AnnotationError
        When two images differ in their suffix alone, or a mask does not come back.
    """
    out = Path(out)
    if not 0 < min_iou <= 1:
        raise AnnotationError(f"The least IoU is {min_iou}: give a number above 0 and at most 1.")
    simplify = min_iou if polygons is Polygons.SIMPLIFIED else None
    with store.snapshot(), new_folder(out, overwrite) as folder:
        chosen = Selection(store, states)
        stems = Stems(chosen)
        classes = {category.id: place for place, category in enumerate(chosen.categories)}
        images = objects = 0
        for labelled in chosen:
            _write_labels(_file(folder, stems, labelled), labelled, classes, simplify)
            images, objects = images + 1, objects + len(labelled.objects)
        _write_data(folder, chosen)
        entries = (image_entry(labelled.image) | {"labels": stems.refuse_twins(labelled)} for labelled in chosen)
        head = {"format": "yolo", "categories": [category_entry(category) for category in chosen.categories]}
        write_lists(folder / INDEX, head, [("images", entries)])
        _prove(folder, chosen, stems, classes, simplify)
        return ExportReport(out, images, objects, chosen.left_out(images))


def _file(folder: Path, stems: Stems, labelled: Labelled) -> Path:
    return folder / LABELS / f"{stems.refuse_twins(labelled)}.txt"


def _write_data(folder: Path, chosen: Selection) -> None:
    names = {place: category.name for place, category in enumerate(chosen.categories)}
    content = {"path": ".", "train": "images", "val": "images", "names": names}
    (folder / DATA).write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _write_labels(path: Path, labelled: Labelled, classes: dict[int, int], simplify: float | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="ascii", newline="\n") as file:
        for found in labelled.objects:
            numbers = " ".join(_relative(_polygon(found, simplify), labelled.image.size))
            file.write(f"{classes[found.category_id]} {numbers}\n")


def _polygon(found: StoredObject, simplify: float | None) -> list[int]:
    mask, origin = cut_out(found.rle)
    if simplify is None:
        return joined_polygon(exact_polygons(mask, origin))
    return joined_polygon(simplified_polygons(mask, simplify, origin))


def _relative(polygon: list[int], size: tuple[int, int]) -> Iterator[str]:
    """Coordinates as parts of width and height, fine enough to find the pixel again."""
    for place, value in enumerate(polygon):
        yield f"{value / size[1 - place % 2]:.8f}".rstrip("0").rstrip(".")


def _prove(folder: Path, chosen: Selection, stems: Stems, classes: dict[int, int], min_iou: float | None) -> None:
    for labelled in chosen:
        height, width = labelled.image.size
        lines = _file(folder, stems, labelled).read_text(encoding="ascii").splitlines()
        if len(lines) != len(labelled.objects):
            raise AnnotationError(f"The export holds {len(lines)} objects of {labelled.name}: please report this.")
        for line, found in zip(lines, labelled.objects, strict=True):
            number, *values = line.split()
            if int(number) != classes[found.category_id]:
                disprove(labelled, found, "has another category")
            scaled = [float(value) * (height if place % 2 else width) for place, value in enumerate(values)]
            compare_masks(labelled, found, to_rle([scaled], labelled.image.size), min_iou)
