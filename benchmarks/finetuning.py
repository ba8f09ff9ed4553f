"""What twenty corrected images bring: a class that psalm-tiny does not know, before and after `psalm finetune`.

    python benchmarks/finetuning.py FOLDER

Writes 44 pictures of letters on blurred ground into FOLDER, imports the first twenty as verified, fine-tunes psalm-tiny
on these, and measures it and the new model on the other 24.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from machine import matmul_rate
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from psalm import Annotations, Category
from psalm.coco import ImageEntry, write_coco
from psalm.conditions import RegionKind, Task
from psalm.evaluation import evaluate
from psalm.finetuning import finetune
from psalm.formats import merge, read_coco_file, read_states
from psalm.predictor import PSALMPredictor
from psalm.store import AnnotationStore

LEARNT, KEPT_ASIDE, SIDE = 20, 24, 320
QUESTIONS: tuple[tuple[Task, RegionKind | None, str], ...] = (
    (Task.INSTANCE, None, "ap"),
    (Task.INSTANCE, None, "ap50"),
    (Task.INTERACTIVE, "box", "mean_iou"),
    (Task.INTERACTIVE, "point", "mean_iou"),
)


def draw(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A picture, and the masks of its letters."""
    ground = ndimage.gaussian_filter(rng.normal(0, 1, (SIDE, SIDE, 3)), (5, 5, 0)) * 250 + rng.uniform(80, 180)
    picture, masks = ground + rng.normal(0, 8, ground.shape), [np.zeros((SIDE, SIDE), dtype=bool)]
    for _ in range(rng.integers(4, 9)):
        mask, colour = letter(rng), rng.uniform(0, 255, 3)
        if not (ndimage.binary_dilation(mask, iterations=3) & np.any(masks, axis=0)).any():
            masks.append(mask)
            picture[mask] = 0.75 * colour + 0.25 * picture[mask]
    return np.clip(picture, 0, 255).astype(np.uint8), np.stack(masks[1:])


def letter(rng: np.random.Generator) -> NDArray[np.bool_]:
    """A letter of any size and turn, somewhere."""
    size = int(rng.integers(28, 80))
    patch = Image.new("L", (2 * size, 2 * size))
    sign = str(rng.choice(list("AEFHKLMNRSTVWXYZ")))
    ImageDraw.Draw(patch).text((size // 2, size // 3), sign, fill=255, font=ImageFont.load_default(size=size))
    row, column = rng.integers(0, SIDE - 2 * size, 2)
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[row : row + 2 * size, column : column + 2 * size] = np.asarray(patch.rotate(rng.uniform(-40, 40))) > 128
    return mask


def main() -> None:
    """Write, learn, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="new or empty")
    folder: Path = parser.parse_args().folder
    images = folder / "images"
    images.mkdir(parents=True)
    rng, entries = np.random.default_rng(0), []
    for number in range(LEARNT + KEPT_ASIDE):
        picture, masks = draw(rng)
        Image.fromarray(picture).save(images / f"{number:03d}.png")
        ones = np.ones(len(masks))
        truth = Annotations(masks, ones, ones, (Category(1, "letter"),))
        entries.append((ImageEntry(number + 1, f"{number:03d}.png", SIDE, SIDE), truth))
    learnt = write_coco(folder / "learnt.json", entries[:LEARNT])
    aside = write_coco(folder / "aside.json", entries[LEARNT:])
    with AnnotationStore.open_or_create(folder / "dataset", images, actor="import") as store:
        merge(store, read_coco_file(learnt, images), state=next(iter(read_states("verified") or ())))
    start, used = time.perf_counter(), time.process_time()
    found = finetune(folder / "dataset", folder / "run", progress=False)
    print(f"{time.perf_counter() - start:.0f} s, {time.process_time() - used:.0f} s of processor")
    models = [PSALMPredictor.from_pretrained(name) for name in ("psalm-tiny", str(found.model))]
    print(f"{'':24s} before  after   (float32 at {matmul_rate(torch.float32):.0f} GFLOP/s)")
    for task, prompt, key in QUESTIONS:
        values = [evaluate(model, aside, images, task, prompt)["overall"][key] for model in models]
        print(f"{f'{task.value} {prompt or str()} {key}':24s} {values[0]:6.3f} {values[1]:6.3f}", flush=True)


if __name__ == "__main__":
    main()
