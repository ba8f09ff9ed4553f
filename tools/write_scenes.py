"""Write generated scenes as a labelled folder, to measure a model on truth that is exact.

    python tools/write_scenes.py runs/scenes --count 100 --seed 2
    psalm evaluate --images runs/scenes --annotations runs/scenes/annotations.json --task instance
    psalm evaluate --images runs/scenes --annotations runs/scenes/annotations.json --refs runs/scenes/refs.json \
        --task referring

Training uses seed 1, so that scenes of another seed are new to the model. `--size` sets height and width.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from psalm.coco.rle import encode_mask
from psalm.conditions import SentenceCondition, Task
from psalm.data.scenes import SceneSamples
from psalm.files import write_text


def describe(samples: SceneSamples, index: int, sentences: int, content: dict[str, list[Any]]) -> np.ndarray:
    """Add one scene to the COCO content and to its referring expressions; returns its picture."""
    scene = samples.labelled(index)
    height, width = scene.image.shape[:2]
    image = {"id": index + 1, "file_name": f"scene_{index:04d}.png", "height": height, "width": width}
    content["images"].append(image | {"source": scene.source, "exhaustive": True})
    masks, first = scene.decode(range(len(scene.things))), len(content["annotations"]) + 1
    names = [category["name"] for category in content["categories"]]
    for thing, mask in zip(scene.things, masks, strict=True):
        if thing.name not in names:
            names.append(thing.name)
            content["categories"].append({"id": len(names), "name": thing.name, "isthing": 1})
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
        content["annotations"].append(
            {
                "id": len(content["annotations"]) + 1,
                "image_id": index + 1,
                "category_id": names.index(thing.name) + 1,
                "segmentation": encode_mask(mask),
                "area": int(mask.sum()),
                "bbox": [float(value) for value in box],
                "iscrowd": 0,
            }
        )
    for question in range(sentences):
        sample = samples.sample(index, np.random.default_rng([7, index, question]), Task.REFERRING)
        meant = [i for i, mask in enumerate(masks) if any(np.array_equal(mask, wanted) for wanted in sample.masks)]
        if isinstance(sample.condition, SentenceCondition) and len(meant) == 1:
            ref = {"image_id": index + 1, "ann_ids": [first + meant[0]], "sentences": [sample.condition.text]}
            content["refs"].append(ref | {"id": len(content["refs"]) + 1})
    return scene.image


def main() -> None:
    """Write images, annotations.json and refs.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--size", type=int, nargs=2, default=(320, 448), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--sentences", type=int, default=3, help="per scene")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    samples = SceneSamples(arguments.count, arguments.seed, tuple(arguments.size))
    content: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": [], "refs": []}
    for index in range(arguments.count):
        picture = describe(samples, index, arguments.sentences, content)
        Image.fromarray(picture).save(arguments.folder / content["images"][-1]["file_name"])
    write_text(arguments.folder / "refs.json", json.dumps(content.pop("refs")))
    write_text(arguments.folder / "annotations.json", json.dumps({"info": {}, "licenses": [], **content}))


if __name__ == "__main__":
    main()
