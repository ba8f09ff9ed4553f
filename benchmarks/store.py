"""Time and size of an annotation store, small and ten times as large: what must not grow, and what may grow tenfold.

    python benchmarks/store.py
    python benchmarks/store.py --images 5000

Objects go in as a batch puts them there, a hundred images in a transaction, masks as RLE. Opening, listing an image and
counting are the medians of several tries. Exit code 1 when filling (in processor time, which other programs do not
disturb) or the file grows more than tenfold, or opening or listing takes longer in the large store, beyond a tolerance.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from psalm.coco.rle import encode_mask
from psalm.store import AnnotationStore, ImageState, NewObject, Provenance

SIZE = (256, 320)
TRIES = 21
PER_TRANSACTION = 100


@dataclass(frozen=True)
class Figures:
    """What was measured of one store; times in seconds."""

    images: int
    objects: int
    fill: float
    processor: float
    bytes: int
    open: float
    listing: float
    decoding: float
    counts: float
    first_page: float
    hand_edit: float


def blobs(count: int) -> list[dict[str, Any]]:
    """RLE of discs with a bite, about 60 pixels wide."""
    draw = np.random.default_rng(0)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    codes = []
    for _ in range(count):
        row, column = draw.uniform(40, SIZE[0] - 40), draw.uniform(40, SIZE[1] - 40)
        disc = (rows - row) ** 2 + (columns - column) ** 2 < draw.uniform(20, 35) ** 2
        bite = (rows - row - 20) ** 2 + (columns - column) ** 2 < 12**2
        codes.append(encode_mask(disc & ~bite))
    return codes


def fill(dataset: Path, images: int, per_image: int) -> tuple[float, float]:
    """Make a store as a batch does; the seconds it took, and those of the processor."""
    codes = blobs(500)
    origin = Provenance("model", "benchmark", "0" * 16, {"kind": "categories", "names": ["a", "b"]}, {"score": 0.5})
    start, processor = time.perf_counter(), time.process_time()
    with AnnotationStore.create(dataset, dataset, actor="benchmark") as store:
        categories = [store.ensure_category(name).id for name in "ab"]
        for first in range(0, images, PER_TRANSACTION):
            with store.transaction():
                for number in range(first, min(first + PER_TRANSACTION, images)):
                    image = store.ensure_image(f"plate {number // 1000}/{number:07}.png", 0, *SIZE, f"{number:064x}")
                    new = [
                        NewObject(categories[i % 2], rle=codes[(number + i) % len(codes)], score=0.9, provenance=origin)
                        for i in range(per_image)
                    ]
                    store.replace_unreviewed(image.id, new)
    return time.perf_counter() - start, time.process_time() - processor


def median(run: Callable[[], Any]) -> float:
    """Median seconds of several runs."""
    times = []
    for _ in range(TRIES):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(dataset: Path, images: int, per_image: int) -> Figures:
    """Fill a store and use it."""
    seconds, processor = fill(dataset, images, per_image)
    size = sum(path.stat().st_size for path in dataset.iterdir())
    draw = np.random.default_rng(1)

    def some() -> int:
        return int(draw.integers(1, images + 1))

    def edit() -> None:
        found = store.objects(some())[0]
        mask = found.mask()
        mask[:20] = True
        store.update_object(found.id, mask=mask)

    with AnnotationStore.open(dataset) as store:
        return Figures(
            images,
            images * per_image,
            seconds,
            processor,
            size,
            median(lambda: AnnotationStore.open(dataset).close()),
            median(lambda: store.objects(some())),
            median(lambda: [found.mask() for found in store.objects(some())]),
            median(store.counts),
            median(lambda: next(store.images(ImageState.PREDICTED))),
            median(edit),
        )


def show(small: Figures, large: Figures) -> None:
    """Print both and how they differ."""
    names = f"{small.images} images", f"{large.images} images"
    print(f"{'':<34}{names[0]:>16}{names[1]:>16}{'ratio':>8}")
    rows: list[tuple[str, float, float, str]] = [
        ("objects", small.objects, large.objects, ",.0f"),
        ("fill, s", small.fill, large.fill, ".1f"),
        ("of it the processor, s", small.processor, large.processor, ".1f"),
        (
            "processor, µs an object",
            small.processor / small.objects * 1e6,
            large.processor / large.objects * 1e6,
            ".0f",
        ),
        ("file, MB", small.bytes / 1e6, large.bytes / 1e6, ".1f"),
        ("file, bytes an object", small.bytes / small.objects, large.bytes / large.objects, ".0f"),
    ]
    for name, key in (
        ("open, ms", "open"),
        ("objects of an image, ms", "listing"),
        ("the same with masks, ms", "decoding"),
        ("counts by state, ms", "counts"),
        ("first thousand of a state, ms", "first_page"),
        ("edit of an object by hand, ms", "hand_edit"),
    ):
        rows.append((name, getattr(small, key) * 1e3, getattr(large, key) * 1e3, ".2f"))
    for name, before, after, form in rows:
        print(f"{name:<34}{before:>16{form}}{after:>16{form}}{after / before:>8.2f}")


def main() -> int:
    """Run the benchmark; exit code 1 when something grows too fast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000, help="of the large store")
    parser.add_argument("--objects", type=int, default=10, help="of an image")
    parser.add_argument("--tolerance", type=float, default=1.5, help="factor that noise may add to a ratio")
    choices = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small = measure(Path(folder, "small"), choices.images // 10, choices.objects)
        large = measure(Path(folder, "large"), choices.images, choices.objects)
    show(small, large)
    grown = {
        "filling": large.processor / small.processor / 10,
        "the file": large.bytes / small.bytes / 10,
        "opening": large.open / small.open,
        "listing": large.listing / small.listing,
    }
    slow = [f"{name} by {ratio:.2f}" for name, ratio in grown.items() if ratio > choices.tolerance]
    if slow:
        print(f"Grows faster than it may: {', '.join(slow)}.")
    return bool(slow)


if __name__ == "__main__":
    raise SystemExit(main())
