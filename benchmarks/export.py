"""Time and size of exports, and how both grow with the number of objects.

    python benchmarks/export.py --objects 10000 100000
    python benchmarks/export.py --formats coco coco-exact yolo --objects 1000 10000

Every export is read back and compared, as always; the time includes that. Growth is processor time or size per object
at the largest number, divided by the same at the smallest: 1 is linear.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from psalm.coco.rle import encode_mask
from psalm.formats import Polygons, export_coco, export_geojson, export_masks, export_panoptic, export_yolo
from psalm.formats.records import ExportReport
from psalm.store import AnnotationStore, ImageState, NewObject, Provenance

SIZE = (512, 512)
PER_IMAGE = 50
SIDE = 60

FORMATS: dict[str, Callable[..., ExportReport]] = {
    "coco": export_coco,
    "coco-exact": partial(export_coco, polygons=Polygons.EXACT),
    "coco-simplified": partial(export_coco, polygons=Polygons.SIMPLIFIED),
    "coco-panoptic": partial(export_panoptic, crop=True),
    "yolo": export_yolo,
    "masks": partial(export_masks, crop=True),
    "geojson": export_geojson,
}


def blobs(count: int) -> list[NDArray[np.bool_]]:
    """Round masks of about 60 pixels across, some with holes, somewhere on an image."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        spots = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 5)
        spots += 0.1 * np.hypot(*np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]) * -1
        mask = np.zeros(SIZE, dtype=bool)
        row, column = rng.integers(0, SIZE[0] - SIDE, 2)
        mask[row : row + SIDE, column : column + SIDE] = spots > np.quantile(spots, 0.6)
        found.append(mask)
    return found


def fill(store: AnnotationStore, objects: int) -> None:
    """Give a dataset so many objects, fifty an image."""
    category = store.ensure_category("blob")
    origin = Provenance("model", "benchmark", prompt={"kind": "categories", "names": ["blob"]})
    new = [NewObject(category.id, rle=encode_mask(mask), score=0.5, provenance=origin) for mask in blobs(PER_IMAGE)]
    with store.transaction():
        for number in range(-(-objects // PER_IMAGE)):
            image = store.ensure_image(f"{number:06d}.png", 0, *SIZE)
            store.add_objects(image.id, new[: min(PER_IMAGE, objects - number * PER_IMAGE)])
            store.set_state(image.id, ImageState.PREDICTED)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def measure(dataset: Path, out: Path, name: str) -> tuple[float, float, int]:
    """Seconds, seconds of the processor, and bytes of an export."""
    with AnnotationStore.open(dataset, read_only=True) as store:
        start, cpu = time.perf_counter(), time.process_time()
        report = FORMATS[name](store, out)
        return time.perf_counter() - start, time.process_time() - cpu, size_of(report.path)


def main() -> int:
    """Measure the formats, and print time, size, growth and the memory held at most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=["coco"])
    choices = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for objects in choices.objects:
            start = time.perf_counter()
            with AnnotationStore.create(root / str(objects), root) as store:
                fill(store, objects)
            print(f"{objects} objects stored in {time.perf_counter() - start:.1f} s", flush=True)
        for name in choices.formats:
            compare(root, name, choices.objects)
    return 0


def compare(root: Path, name: str, numbers: list[int]) -> None:
    """Measure a format for all numbers of objects, and print how it grows."""
    per_object = []
    for objects in numbers:
        seconds, cpu, size = measure(root / str(objects), root / f"{name}-{objects}.out", name)
        per_object.append((cpu / objects, size / objects))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
        print(
            f"{name:<16} {objects:>8} objects  {seconds:8.1f} s  {cpu:8.1f} s of CPU  {size / 2**20:8.1f} MiB  "
            f"peak {peak:5.2f} GiB",
            flush=True,
        )
    growth = [last / first for first, last in zip(per_object[0], per_object[-1], strict=True)]
    print(f"{name:<16} growth of time {growth[0]:.2f}, of size {growth[1]:.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
