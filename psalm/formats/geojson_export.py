"""A dataset as GeoJSON, a file per image, as QuPath and GIS programs read it: x and y in pixels, y downwards."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from psalm.coco.polygons import rings_of_parts
from psalm.coco.rle import cut_out, odd_of, to_rle
from psalm.errors import AnnotationError
from psalm.formats.extras import category_entry, image_entry, object_extras
from psalm.formats.folders import INDEX, new_folder
from psalm.formats.json_lists import write_lists
from psalm.formats.proof import compare_masks, disprove
from psalm.formats.records import ExportReport, Labelled
from psalm.formats.selection import Selection
from psalm.formats.stems import Stems
from psalm.store import AnnotationStore, ImageState, StoredCategory, StoredObject


def export_geojson(
    store: AnnotationStore,
    out: Path | str,
    *,
    states: Collection[ImageState] | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write ``NAME.geojson`` per image, and read it back.

    Outlines follow the edges of pixels, so they are exact; holes are inner rings. Category, colour, score and origin
    are properties of each feature.

    Parameters
    ----------
    store : AnnotationStore
    out : path
        Folder.
    states : collection of ImageState, optional
        See `Selection`.
    overwrite : bool
        Replace an earlier export.

    Raises
    ------
    OutputError
        When the folder has other content, or cannot be written.
    AnnotationError
        When a mask does not come back.
    """
    out = Path(out)
    with store.snapshot(), new_folder(out, overwrite) as folder:
        chosen = Selection(store, states)
        stems = Stems(chosen)
        categories = {category.id: category for category in chosen.categories}
        images = objects = 0
        for labelled in chosen:
            path = folder / f"{stems.of(labelled)}.geojson"
            path.parent.mkdir(parents=True, exist_ok=True)
            features = (_feature(found, categories[found.category_id]) for found in labelled.objects)
            write_lists(path, {"type": "FeatureCollection"}, [("features", features)])
            _prove(path, labelled, categories)
            images, objects = images + 1, objects + len(labelled.objects)
        entries = (image_entry(labelled.image) | {"features": f"{stems.of(labelled)}.geojson"} for labelled in chosen)
        head = {"format": "geojson", "categories": [category_entry(category) for category in chosen.categories]}
        write_lists(folder / INDEX, head, [("images", entries)])
        return ExportReport(out, images, objects, chosen.left_out(images))


def _feature(found: StoredObject, category: StoredCategory) -> dict[str, Any]:
    polygons = rings_of_parts(*cut_out(found.rle))
    shape = "Polygon" if len(polygons) == 1 else "MultiPolygon"
    properties: dict[str, Any] = {
        "objectType": "annotation",
        "classification": {"name": category.name, "color": list(category.colour)},
        "category_id": category.id,
        "psalm": object_extras(found.provenance),
    }
    return {
        "type": "Feature",
        "id": str(found.id),
        "geometry": {"type": shape, "coordinates": polygons[0] if len(polygons) == 1 else polygons},
        "properties": properties | ({} if found.score is None else {"score": found.score}),
    }


def _prove(path: Path, labelled: Labelled, categories: dict[int, StoredCategory]) -> None:
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    if [feature["id"] for feature in features] != [str(found.id) for found in labelled.objects]:
        raise AnnotationError(f"The export does not hold the objects of {labelled.name}: please report this.")
    for feature, found in zip(features, labelled.objects, strict=True):
        properties, shape = feature["properties"], feature["geometry"]
        if properties["classification"]["name"] != categories[found.category_id].name:
            disprove(labelled, found, "has another category")
        if properties.get("score") != found.score:
            disprove(labelled, found, "has another score")
        polygons = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
        size = labelled.image.size
        rings = [to_rle([[value for point in ring for value in point]], size) for part in polygons for ring in part]
        compare_masks(labelled, found, odd_of(rings, size))
