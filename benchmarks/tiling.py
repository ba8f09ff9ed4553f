"""What tiles cost, and what they bring.

    python benchmarks/tiling.py size                        # time and memory against image size, bookkeeping alone
    python benchmarks/tiling.py size --model psalm-tiny --megapixels 1 4 16
    python benchmarks/tiling.py count                       # nuclei found with and without tiles, generated fields
    python benchmarks/tiling.py video                       # J on generated clips, frames per second
    python benchmarks/tiling.py real --pack data/trainpack  # J on every seventh frame of DAVIS 2016

`size` reads an image that is made window by window, so it needs no disk and no memory of its own. Time should grow in
proportion to the pixels, and memory by what the found objects take. Peak memory is that of numpy and Python; torch's is
that of one tile. Without --model a predictor that finds bright discs stands for the model, and what is measured is
reading, cutting and merging.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from psalm.annotations import Annotations, Category
from psalm.conditions import CategoryCondition
from psalm.config import PSALMConfig
from psalm.cutouts import CutoutAnnotations
from psalm.data.clips import Clip, draw_clip, read_clips
from psalm.data.fields import draw_field
from psalm.decoding import Thresholds
from psalm.predictor import PSALMPredictor
from psalm.tiling import TilePlan, predict_tiled
from psalm.video import KnownFrame, open_frames, propagate

STEP, RADIUS = 64, 14
NUCLEUS = CategoryCondition(["nucleus"])


class DiscField:
    """An image (side, side) of discs on a grid, of which only the pixels that are asked for are made."""

    dtype = np.dtype(np.uint8)

    def __init__(self, side: int) -> None:
        self.shape = (side, side)

    def __getitem__(self, index: tuple[slice, slice]) -> NDArray[np.uint8]:
        rows, columns = (np.arange(*part.indices(n)) for part, n in zip(index, self.shape, strict=True))
        row, column = (np.abs(pixels % STEP - STEP // 2) for pixels in (rows, columns))
        return ((row[:, None] ** 2 + column[None] ** 2 <= RADIUS**2) * 200).astype(np.uint8)


class DiscFinder:
    """Finds bright discs, and so many at most; stands for a model."""

    def __init__(self, image_size: int = 672, capacity: int = 100) -> None:
        self.config = PSALMConfig.small(image_size=image_size, num_mask_tokens=capacity)
        self.thresholds = Thresholds(nms_iou=0.6)

    def predict_batch(
        self, images: Sequence[NDArray[Any]], condition: Any, task: Any = None, score_threshold: Any = None,
        thresholds: Any = None,
    ) -> list[Annotations]:  # fmt: skip
        """The connected bright parts of each image."""
        return [self._answer(image) for image in images]

    def _answer(self, image: NDArray[np.uint8]) -> Annotations:
        labels, count = ndimage.label(image[..., 0] > 100)
        count = min(count, self.config.num_mask_tokens)
        masks = labels == np.arange(1, count + 1)[:, None, None]
        return Annotations(masks, np.ones(count), np.full(count, 0.9), (Category(1, "nucleus"),))


def measure(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """The result, seconds, and peak megabytes beyond what there was before."""
    tracemalloc.start()
    start = time.perf_counter()
    result = work()
    seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return result, seconds, peak


def size(megapixels: Sequence[float], model: str | None) -> None:
    """Time and memory against image size."""
    predictor: Any = DiscFinder() if model is None else PSALMPredictor.from_pretrained(model)
    print("megapixels  looks  objects  seconds  per megapixel  peak MB  per object B")
    for value in megapixels:
        field = DiscField(round((value * 1e6) ** 0.5))
        plan = TilePlan(overview=False)
        answer, seconds, peak = measure(lambda f=field, p=plan: predict_tiled(predictor, f, NUCLEUS, p))
        found = len(answer.objects)
        print(
            f"{value:10.0f} {answer.looks:6d} {found:8d} {seconds:8.1f} {seconds / value:14.2f} {peak:8.1f} "
            f"{peak * 2**20 / max(found, 1):13.0f}",
            flush=True,
        )


def count(model: str, sides: Sequence[int], fields: int) -> None:
    """Nuclei found with and without tiles in generated fields."""
    predictor = PSALMPredictor.from_pretrained(model)
    whole = TilePlan(factor=1e6, most_objects=10**9)
    print("side  true  found whole (right)  found in tiles (right)  looks")
    for side in sides:
        for seed in range(fields):
            image, truth = mosaic(side, seed)
            plain = predict_tiled(predictor, image, NUCLEUS, whole).objects
            tiled = predict_tiled(predictor, image, NUCLEUS)
            print(
                f"{side:4d} {int(truth.max()):5d} {len(plain):12d} ({right(plain, truth):4d}) "
                f"{len(tiled.objects):15d} ({right(tiled.objects, truth):4d}) {tiled.looks:7d}",
                flush=True,
            )


def mosaic(side: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A field of nuclei of about the same look, from one drawing with ever smaller nuclei; image and label image."""
    patches, part = max(side // 320, 1), 320
    image = np.zeros((patches * part, patches * part, 3), dtype=np.uint8)
    labels = np.zeros(image.shape[:2], dtype=np.int64)
    for i in range(patches):
        for j in range(patches):
            # One seed for all patches gives one preparation.
            pixels, _, masks = draw_field((part, part), np.random.default_rng(seed), "nucleus")
            turned = (i + 2 * j) % 4
            at = np.s_[i * part : (i + 1) * part, j * part : (j + 1) * part]
            image[at] = np.rot90(pixels, turned)
            first = labels.max()
            for k, mask in enumerate(masks, 1):
                labels[at][np.rot90(mask, turned)] = first + k
    return image, labels


def right(found: CutoutAnnotations, truth: NDArray[np.int64]) -> int:
    """How many true objects have a found one with an IoU of at least a half."""
    areas = np.bincount(truth.ravel())
    met = set()
    for cutout in found.cutouts:
        r0, c0, r1, c1 = cutout.box
        shared = np.bincount(truth[r0:r1, c0:c1][cutout.mask()], minlength=len(areas))
        shared[0] = 0
        best = int(shared.argmax())
        if best and shared[best] >= 0.5 * (areas[best] + cutout.area - shared[best]):
            met.add(best)
    return len(met)


def video(model: str, clips: int, length: int) -> None:
    """J of generated clips, and frames per second beside a class list's."""
    predictor = PSALMPredictor.from_pretrained(model)
    print("clip  objects  J mean  J last  frames/s  class list frames/s")
    for seed in range(clips):
        clip = draw_clip(seed, length)
        scores, seconds = follow(predictor, clip)
        start = time.perf_counter()
        for image in clip.frames[:5]:
            predictor.predict_batch([image], NUCLEUS)
        bare = min(length, 5) / (time.perf_counter() - start)
        print(
            f"{seed:4d} {len(np.unique(clip.labels[0])) - 1:8d} {np.mean(scores):7.2f} {np.mean(scores[-1]):7.2f} "
            f"{length / seconds:9.2f} {bare:20.2f}",
            flush=True,
        )


def real(model: str, pack: Path, most: int) -> None:
    """J of clips of DAVIS 2016."""
    predictor = PSALMPredictor.from_pretrained(model)
    print("clip                        frames  J mean  J last  frames/s")
    means = []
    for clip in read_clips(pack, most=most):
        if len(clip) < 2:
            continue
        scores, seconds = follow(predictor, clip)
        means.append(np.mean(scores))
        last = np.mean(scores[-1])
        print(f"{clip.name:28s}{len(clip):6d} {means[-1]:7.2f} {last:7.2f} {len(clip) / seconds:9.2f}", flush=True)
    print(f"{'mean':28s}{'':6s} {np.mean(means):7.2f}")


def follow(predictor: PSALMPredictor, clip: Clip) -> tuple[list[list[float]], float]:
    """IoU of the objects of the first frame in each later one, and seconds."""
    scores: list[list[float]] = []
    start = time.perf_counter()
    for frame in propagate(predictor, open_frames(list(clip.frames)), [KnownFrame.from_labels(0, clip.labels[0])]):
        if frame.known:
            continue
        truth, here = clip.labels[frame.index], []
        for one in frame.objects:
            mask = np.zeros(truth.shape, bool) if one.cutout is None else one.cutout.full(truth.shape)
            union = (mask | (truth == one.id)).sum()
            here.append((mask & (truth == one.id)).sum() / union if union else 1.0)
        scores.append(here)
    return scores, time.perf_counter() - start


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["size", "count", "video", "real"])
    parser.add_argument("--model", help="for size, a model in place of the stand-in; psalm-tiny for the others")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 4, 16, 64, 144, 400])
    parser.add_argument("--sides", type=int, nargs="+", default=[320, 640], help="of the fields, in pixels")
    parser.add_argument("--fields", type=int, default=1, help="per side")
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--length", type=int, default=12, help="of a clip, in frames; for real clips, at most")
    parser.add_argument("--pack", type=Path, default=Path("data/trainpack"), help="folder with the real clips")
    options = parser.parse_args()
    model = options.model or "psalm-tiny"
    if options.what == "size":
        size(options.megapixels, options.model)
    elif options.what == "count":
        count(model, options.sides, options.fields)
    elif options.what == "video":
        video(model, options.clips, options.length)
    else:
        real(model, options.pack, options.length)


if __name__ == "__main__":
    main()
