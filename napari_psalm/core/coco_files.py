"""Labels layers to COCO files and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_psalm.core.category_table import NO_CATEGORY, CategoryTable
from napari_psalm.core.history import unique
from psalm.annotations import Annotations
from psalm.coco import ImageEntry, read_coco, write_coco
from psalm.errors import AnnotationError, ImageError
from psalm.images import read_image

MOST_IMAGES = 50
"""Images of a COCO file that are opened as layers."""


def write_labels(
    path: Path | str,
    layers: Sequence[tuple[Any, Mapping[str, Any]]],
    categories: CategoryTable | None = None,
    overwrite: bool = False,
) -> int:
    """Write the objects of Labels layers to one COCO file.

    Parameters
    ----------
    path : path
        The file.
    layers : sequence of (data, attributes)
        Array of ids (..., height, width), and the layer's attributes as napari hands them to a writer.
    categories : CategoryTable, optional
        Gives the ids of categories; taken from the layers' metadata when not given.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    int
        How many objects were written.

    Raises
    ------
    AnnotationError
        When no layer holds an object.
    OutputError
        When the file exists or cannot be written.
    """
    table = categories or _table_of(layers)
    table = table.with_names(name for data, attributes in layers for name in _classes_used(data, attributes))
    entries: list[tuple[ImageEntry, Annotations]] = []
    for data, attributes in layers:
        entries += _entries(np.asarray(data), attributes, table, first_id=len(entries) + 1)
    count = sum(len(annotations) for _, annotations in entries)
    if not count:
        raise AnnotationError("The layer holds no object: segment or paint something before the export.")
    write_coco(path, entries, overwrite=overwrite)
    return count


def read_labels(path: Path | str) -> list[tuple[NDArray[np.uint32], dict[str, Any], str]]:
    """Read a COCO file as one Labels layer per image, ready for napari.

    Raises
    ------
    AnnotationError
        When the file is not valid COCO, or has more images than fit in a viewer.
    """
    dataset = read_coco(path)
    if len(dataset.images) > MOST_IMAGES:
        raise AnnotationError(
            f"{Path(path).name} has {len(dataset.images)} images; at most {MOST_IMAGES} are opened as layers: split it."
        )
    table = CategoryTable(dataset.categories)
    layers = []
    for image in dataset.images:
        found = dataset.annotations_of(image)
        labels = found.to_labels()
        features = {
            "index": np.arange(1, len(found) + 1),
            "class": list(found.names),
            "score": found.scores.round(3),
            "prompt": list(found.prompts),
            "task": ["file"] * len(found),
        }
        metadata = {"psalm": {"file_name": image.file_name, "categories": table.to_records()}}
        attributes = {"name": Path(image.file_name).stem, "features": features, "metadata": metadata}
        layers.append((labels, attributes, "labels"))
    return layers


def read_layers(path: Path | str) -> list[tuple[NDArray[Any], dict[str, Any], str]]:
    """Read a COCO file as napari layers: each image that is found, and its objects above it.

    Images are looked for beside the file and in a folder ``images`` there.

    Raises
    ------
    AnnotationError
        When the file is not valid COCO, or has more images than fit in a viewer.
    """
    layers: list[tuple[NDArray[Any], dict[str, Any], str]] = []
    for labels, attributes, kind in read_labels(path):
        pixels = _find_pixels(Path(path).parent, _file_name(attributes), labels.shape)
        if pixels is not None:
            rgb = pixels.ndim == 3 and pixels.shape[-1] in (3, 4)
            picture = {"name": attributes["name"], "rgb": rgb, "metadata": attributes["metadata"]}
            layers.append((pixels, picture, "image"))
            attributes = attributes | {"name": f"{attributes['name']} objects", "opacity": 0.6}
        layers.append((labels, attributes, kind))
    return layers


def _find_pixels(folder: Path, name: Path, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """The image of this name near a COCO file; None when it is not there or has another size."""
    for path in (folder / name, folder / "images" / name, folder / name.name, folder / "images" / name.name):
        if path.is_file():
            with suppress(ImageError):
                pixels = read_image(path)
                return pixels if pixels.shape[:2] == shape else None
    return None


def _entries(
    data: NDArray[Any], attributes: Mapping[str, Any], table: CategoryTable, first_id: int
) -> Iterator[tuple[ImageEntry, Annotations]]:
    """One image per 2-D layer; of a stack every slice that holds an object."""
    rows = _rows(attributes)
    name = _file_name(attributes)
    height, width = data.shape[-2:]
    number = first_id
    for position in np.ndindex(data.shape[:-2]):
        plane = data[position]
        if position and not plane.any():
            continue
        file_name = name.with_stem("_".join([name.stem, *(f"{i:04d}" for i in position)])).as_posix()
        yield ImageEntry(number, file_name, height, width), _annotations(plane, rows, table)
        number += 1


def _annotations(plane: NDArray[Any], rows: dict[int, dict[str, Any]], table: CategoryTable) -> Annotations:
    ids = np.unique(plane[plane != 0]).tolist()
    known = [rows.get(label_id, {}) for label_id in ids]
    masks = [plane == label_id for label_id in ids]
    return Annotations(
        np.stack(masks) if masks else np.zeros((0, *plane.shape), dtype=bool),
        np.array([table.id_of(_class_of(row)) for row in known], dtype=np.int64),
        np.nan_to_num(np.array([row.get("score", 1.0) for row in known], dtype=np.float32), nan=1.0),
        table.categories,
        tuple(str(row.get("prompt", "by hand")) for row in known),
    )


def _rows(attributes: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    import pandas as pd

    table = pd.DataFrame(attributes.get("features"))
    if "index" not in table:
        return {}
    return {int(row["index"]): {str(key): value for key, value in row.items()} for row in table.to_dict("records")}


def _classes_used(data: NDArray[Any], attributes: Mapping[str, Any]) -> list[str]:
    """Classes of the objects that are there."""
    rows = _rows(attributes)
    return [_class_of(rows.get(label_id, {})) for label_id in unique(np.asarray(data)) if label_id]


def _class_of(row: Mapping[str, Any]) -> str:
    name = row.get("class")
    return name if isinstance(name, str) and name else NO_CATEGORY


def _psalm(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return (attributes.get("metadata") or {}).get("psalm", {})


def _table_of(layers: Sequence[tuple[Any, Mapping[str, Any]]]) -> CategoryTable:
    tables = [CategoryTable.from_records(_psalm(attributes).get("categories", ())) for _, attributes in layers]
    return tables[0].with_names(name for table in tables for name in table.names)


def _file_name(attributes: Mapping[str, Any]) -> Path:
    """File name of the image, made safe; the layer's name where none is known."""
    name = _psalm(attributes).get("file_name") or f"{attributes.get('name', 'image')}.png"
    return Path(*[part for part in Path(str(name).replace("\\", "/")).parts if part not in ("/", "..")])
