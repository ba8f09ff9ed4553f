"""A tiny COCO folder: two exhaustive photographs, one that is not, and one microscope image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

HEIGHT, WIDTH = 96, 128
CATEGORIES = [("cat", 1), ("glass bottle", 1), ("sky", 0), ("nucleus", 1), ("bottle", 1), ("kayak", 1)]


def _annotation(number: int, image: int, category: int, r0: int, c0: int, r1: int, c1: int) -> dict:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8, order="F")
    mask[r0:r1, c0:c1] = 1
    runs = coco_mask.encode(mask)
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": {"size": runs["size"], "counts": runs["counts"].decode()},
        "area": (r1 - r0) * (c1 - c0),
        "bbox": [c0, r0, c1 - c0, r1 - r0],
        "iscrowd": 0,
    }


@pytest.fixture
def coco_folder(tmp_path: Path) -> Path:
    """A folder with annotations.json, refs.json and images/."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    images = []
    for number, (source, domain, exhaustive, split) in enumerate(
        [
            ("pets", "natural", True, "train"),
            ("pets", "natural", False, "train"),
            ("lab", "microscopy", True, "train"),
            ("pets", "natural", True, "val"),
        ],
        start=1,
    ):
        name = f"{source}_{number}.png"
        Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(tmp_path / "images" / name)
        extras = {"source": source, "domain": domain, "exhaustive": exhaustive, "split": split}
        images.append({"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH, **extras})
    annotations = [
        _annotation(1, 1, 1, 40, 10, 70, 30),
        _annotation(2, 1, 1, 30, 80, 80, 120),
        _annotation(3, 1, 3, 0, 0, 10, 60),
        _annotation(4, 1, 3, 0, 70, 10, 120),
        _annotation(5, 2, 1, 20, 20, 60, 60),
        _annotation(6, 4, 2, 20, 20, 60, 60),
        _annotation(7, 4, 5, 20, 70, 60, 90),
    ]
    grid = [(r, c) for r in range(2, 90, 8) for c in range(2, 120, 8)]
    annotations += [_annotation(100 + i, 3, 4, r, c, r + 5, c + 5) for i, (r, c) in enumerate(grid)]
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": n, "isthing": t} for i, (n, t) in enumerate(CATEGORIES, start=1)],
    }
    refs = [{"image_id": 2, "ann_ids": [5], "sentences": ["the cat on the sofa"]}]
    (tmp_path / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "refs.json").write_text(json.dumps(refs), encoding="utf-8")
    return tmp_path
