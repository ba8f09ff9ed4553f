"""Tiny data sets in exactly the folder layouts in which the real ones are published."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from psalm.coco.rle import encode_mask

SIZE = (60, 80)
Mask = NDArray[np.bool_]


def box(row0: int, column0: int, row1: int, column1: int) -> Mask:
    mask = np.zeros(SIZE, bool)
    mask[row0:row1, column0:column1] = True
    return mask


CAT, DOG, SKY, HERD = box(10, 10, 30, 30), box(30, 40, 50, 70), box(0, 0, 8, 80), box(52, 0, 60, 20)


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def photograph(path: Path, value: int = 100) -> None:
    """A photograph whose every pixel has one value, so that tests know which one they see."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*SIZE, 3), value, np.uint8)
    Image.fromarray(pixels).save(path, **({"quality": 100} if path.suffix == ".jpg" else {}))


def label_map(path: Path, values: NDArray[Any], dtype: Any = np.uint8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(dtype)).save(path)


def annotation(number: int, image_id: int, category_id: int, mask: Mask, iscrowd: int = 0) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    r0, c0, r1, c1 = (int(v) for v in (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1))
    outline = [[c0, r0, c1, r0, c1, r1, c0, r1]]
    return {
        "id": number, "image_id": image_id, "category_id": category_id, "iscrowd": iscrowd, "area": float(mask.sum()),
        "bbox": [c0, r0, c1 - c0, r1 - r0], "segmentation": encode_mask(mask) if iscrowd else outline,
    }  # fmt: skip


def coco_image(number: int, folder: str = "val2017") -> dict[str, Any]:
    name = f"{number:012d}.jpg"
    return {
        "id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1],
        "coco_url": f"http://images.cocodataset.org/{folder}/{name}",
    }  # fmt: skip


def make_coco(root: Path, split: str = "val") -> Path:
    """Instances: a cat and a dog in image 1, a dog and a crowd of dogs in image 2, nothing in image 3."""
    images = [coco_image(number, f"{split}2017") for number in (1, 2, 3)]
    for image in images:
        photograph(root / f"{split}2017" / image["file_name"], image["id"])
    categories = [{"id": 17, "name": "cat", "isthing": 1}, {"id": 18, "name": "dog", "isthing": 1}]
    annotations = [
        annotation(1, 1, 17, CAT), annotation(2, 1, 18, DOG), annotation(3, 2, 18, DOG),
        annotation(4, 2, 18, HERD, iscrowd=1),
    ]  # fmt: skip
    content = {"images": images, "categories": categories, "annotations": annotations}
    write_json(root / f"annotations/instances_{split}2017.json", content)
    _make_panoptic(root, split, images[:2], categories)
    return root


def _make_panoptic(root: Path, split: str, images: list[dict[str, Any]], categories: list[dict[str, Any]]) -> None:
    listed = []
    for image in images:
        segments = [(300, 17, CAT, 0), (70000, 18, DOG, 0), (5, 187, SKY, 0), (9, 18, HERD, 1)]
        numbers = np.zeros(SIZE, np.int64)
        for number, _, mask, _ in segments:
            numbers[mask] = number
        name = f"{image['id']:012d}.png"
        colours = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], axis=-1)
        label_map(root / f"panoptic_{split}2017" / name, colours)
        infos = [
            {"id": number, "category_id": category, "iscrowd": crowd, "area": int(mask.sum())}
            for number, category, mask, crowd in segments
        ]
        listed.append({"image_id": image["id"], "file_name": name, "segments_info": infos})
    stuff = {"id": 187, "name": "sky-other-merged", "isthing": 0}
    content = {"images": images, "categories": [*categories, stuff], "annotations": listed}
    write_json(root / f"annotations/panoptic_{split}2017.json", content)


def make_refer(root: Path, name: str = "refcoco", protocol: int = 2) -> Path:
    """A cat with two sentences and a dog with one in train, another dog in val."""
    images = [{**coco_image(n), "file_name": f"COCO_train2014_{n:012d}.jpg"} for n in (1, 2)]
    for image in images:
        photograph(root / "images/mscoco/images/train2014" / image["file_name"], image["id"])
    annotations = [annotation(11, 1, 17, CAT), annotation(12, 1, 18, DOG), annotation(13, 2, 18, DOG)]
    categories = [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}]
    write_json(root / name / "instances.json", {"images": images, "annotations": annotations, "categories": categories})
    refs = [
        _ref(1, 1, 11, "train", ["the left cat", "cat."]),
        _ref(2, 1, 12, "train", ["big dog"]),
        _ref(3, 2, 13, "val", ["the dog"]),
    ]
    split_by = "umd" if name == "refcocog" else "unc"
    (root / name / f"refs({split_by}).p").write_bytes(pickle.dumps(refs, protocol=protocol))
    return root


def _ref(number: int, image_id: int, ann_id: Any, split: str, sentences: list[str]) -> dict[str, Any]:
    said = [{"sent": text, "raw": text, "tokens": text.split(), "sent_id": i} for i, text in enumerate(sentences)]
    return {
        "ref_id": number, "image_id": image_id, "ann_id": ann_id, "split": split, "category_id": 18,
        "file_name": f"COCO_train2014_{image_id:012d}_{number}.jpg", "sent_ids": list(range(len(sentences))),
        "sentences": said,
    }  # fmt: skip


def make_grefcoco(root: Path) -> Path:
    """One target, two targets and none, in val."""
    make_refer(root, "grefcoco")
    (root / "grefcoco/refs(unc).p").unlink()
    refs = [
        _ref(1, 1, [11], "val", ["the cat"]),
        _ref(2, 1, [11, 12], "val", ["both animals", "the pets"]),
        _ref(3, 2, [-1], "val", ["the elephant"]) | {"no_target": True},
        _ref(4, 2, [13], "testA", ["the dog"]),
    ]
    write_json(root / "grefcoco/grefs(unc).json", refs)
    return root


def make_lvis(root: Path, split: str = "val") -> Path:
    """Image 1 has a cat and was checked for mugs; in image 2 not every dog is labelled."""
    images = []
    for number in (1, 2):
        image = coco_image(number, f"{split}2017")
        photograph(root / f"{split}2017" / image.pop("file_name"), number)
        images.append(image | {"neg_category_ids": [3], "not_exhaustive_category_ids": [2] if number == 2 else []})
    categories = [
        {"id": 1, "name": "cat", "synonyms": ["cat", "house_cat"], "frequency": "f"},
        {"id": 2, "name": "dog", "synonyms": ["dog"], "frequency": "c"},
        {"id": 3, "name": "mug", "synonyms": ["mug"], "frequency": "r"},
        {"id": 4, "name": "kayak", "synonyms": ["kayak"], "frequency": "r"},
    ]
    annotations = [annotation(1, 1, 1, CAT), annotation(2, 2, 2, DOG)]
    write_json(root / f"lvis_v1_{split}.json", {"images": images, "categories": categories, "annotations": annotations})
    return root


def make_ade20k(root: Path, split: str = "validation") -> Path:
    """A wall with a building in front; the rest is unlabelled."""
    root.mkdir(parents=True, exist_ok=True)
    rows = [
        "Idx\tRatio\tTrain\tVal\tStuff\tName",
        "1\t0.15\t11664\t1172\t1\twall",
        "2\t0.1\t6046\t612\t0\tbuilding, edifice",
    ]
    (root / "objectInfo150.txt").write_text("\n".join(rows) + "\n")
    photograph(root / "images" / split / "ADE_val_00000001.jpg")
    label_map(root / "annotations" / split / "ADE_val_00000001.png", SKY * 1 + DOG * 2)
    return root


def make_cityscapes(root: Path, split: str = "val") -> Path:
    """A road, two cars, and cars that nobody told apart."""
    values = np.zeros(SIZE, np.int64)
    values[SKY], values[CAT], values[DOG], values[HERD] = 7, 26000, 26001, 26
    stem = root / "leftImg8bit" / split / "bonn" / "bonn_000000_000019"
    photograph(stem.with_name(f"{stem.name}_leftImg8bit.png"))
    target = root / "gtFine" / split / "bonn" / "bonn_000000_000019_gtFine_instanceIds.png"
    label_map(target, values, np.uint16)
    return root


def make_voc(root: Path, split: str = "val") -> Path:
    """A cat (class 8) and a dog (class 12) with a border that belongs to neither."""
    classes, numbers = CAT * 8 + DOG * 12, CAT * 1 + DOG * 2
    border = box(8, 8, 10, 32)
    for folder, values in (("SegmentationClass", classes), ("SegmentationObject", numbers)):
        target = np.where(border, 255, values).astype(np.uint8)
        path = root / folder / "2007_000033.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(target, mode="P")
        image.putpalette([v for i in range(256) for v in (i, 255 - i, 7)])
        image.save(path)
    photograph(root / "JPEGImages/2007_000033.jpg")
    (root / "ImageSets/Segmentation").mkdir(parents=True, exist_ok=True)
    (root / f"ImageSets/Segmentation/{split}.txt").write_text("2007_000033\n")
    return root


def make_context(root: Path, split: str = "val") -> Path:
    """A cat, a table and a rare accordion; the second listed image has no map."""
    (root / "trainval").mkdir(parents=True, exist_ok=True)
    (root / "labels.txt").write_text("1: accordion\n59: cat\n397: table\n")
    (root / "59_labels.txt").write_text("8: cat\n29: diningtable\n")
    savemat(root / "trainval/2008_000002.mat", {"LabelMap": (CAT * 59 + DOG * 397 + SKY * 1).astype(np.uint16)})
    photograph(root / "JPEGImages/2008_000002.jpg")
    (root / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
    (root / f"ImageSets/Main/{split}.txt").write_text("2008_000002\n2008_000003\n")
    return root


def make_davis(root: Path, split: str = "val", frames: int = 5) -> Path:
    """A video with a cat that walks to the right and a dog that stands still."""
    (root / "ImageSets/2017").mkdir(parents=True, exist_ok=True)
    (root / f"ImageSets/2017/{split}.txt").write_text("walk\n")
    for number in range(frames):
        photograph(root / f"JPEGImages/480p/walk/{number:05d}.jpg", 10 + number)
        label_map(root / f"Annotations/480p/walk/{number:05d}.png", np.roll(CAT, number, axis=1) * 1 + DOG * 2)
    return root


def make_llava(root: Path, file: str = "llava_v1_5_mix665k.json") -> Path:
    """A conversation of two rounds with an image, and one without."""
    photograph(root / "coco/train2017/000000000001.jpg")
    turns = [
        {"from": "human", "value": "<image>\nWhat is this?"}, {"from": "gpt", "value": "A cat."},
        {"from": "human", "value": "Where?"}, {"from": "gpt", "value": "On the left."},
    ]  # fmt: skip
    write_json(
        root / file,
        [
            {"id": "1", "image": "coco/train2017/000000000001.jpg", "conversations": turns},
            {"id": "2", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        ],
    )
    return root
