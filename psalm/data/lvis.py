"""LVIS v1 as it is published: a thousand classes on COCO's photographs, each image checked for a few of them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from psalm.conditions import Task
from psalm.data.class_lists import ClassListReader
from psalm.data.coco_folder import decode_all
from psalm.data.layout import Layout, Part, inside, read_json
from psalm.data.objects import Objects

HOME = "the LVIS website"
_NAMES_PER_QUESTION = 80


def layout(split: str = "val") -> Layout:
    """What `Lvis` needs, beside the photographs, which are COCO's of 2017."""
    return Layout("LVIS", HOME, (Part(f"lvis_v1_{split}.json", "instance annotations"),))


class Lvis(ClassListReader):
    """Instances of LVIS v1.

    Parameters
    ----------
    root : path
        Folder with ``lvis_v1_train.json`` and ``lvis_v1_val.json``.
    split : {"train", "val"}
    photographs : path, optional
        Folder with COCO's ``train2017`` and ``val2017``; `root`, or ``coco`` beside it, when not given.
    names_per_question : int
        Names in a list of a sample; as many as COCO has, since all 1203 are more than a prompt holds.

    Raises
    ------
    AnnotationError
        When a file is missing or damaged.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        photographs: Path | str | None = None,
        names_per_question: int = _NAMES_PER_QUESTION,
    ) -> None:
        plan = layout(split)
        plan.require(root)
        content = read_json(Path(root) / plan.parts[0].path, dict)
        categories = sorted(content["categories"], key=lambda category: category["id"])
        names = [", ".join(_synonyms(category)) for category in categories]
        super().__init__("lvis", names, [True] * len(names), (Task.INSTANCE,), names_per_question)
        self.frequencies = tuple(str(category.get("frequency", "")) for category in categories)
        self._label = {category["id"]: i for i, category in enumerate(categories)}
        self._folder = Path(photographs) if photographs else _photographs(Path(root))
        self._annotations: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in content["annotations"]:
            self._annotations[annotation["image_id"]].append(annotation)
        self._images = [image for image in content["images"] if split == "val" or image["id"] in self._annotations]

    def __len__(self) -> int:
        return len(self._images)

    def path(self, index: int) -> Path:
        record = self._images[index]
        # LVIS names its images by their address at COCO: .../val2017/000000397133.jpg
        name = record.get("file_name") or "/".join(str(record["coco_url"]).split("/")[-2:])
        return inside(self._folder, name)

    def objects(self, index: int) -> Objects:
        record = self._images[index]
        found = self._annotations.get(record["id"], [])
        labels = [self._label[annotation["category_id"]] for annotation in found]
        return Objects.of(decode_all(found, (record["height"], record["width"])), labels)

    def areas(self, index: int) -> list[float]:
        """The area that the file states per object."""
        return [float(annotation["area"]) for annotation in self._annotations.get(self._images[index]["id"], [])]

    def absent(self, index: int) -> frozenset[int]:
        """Classes that were looked for in image `index` and are not there."""
        return frozenset(self._label[i] for i in self._images[index].get("neg_category_ids", ()))

    def incomplete(self, index: int) -> frozenset[int]:
        return frozenset(self._label[i] for i in self._images[index].get("not_exhaustive_category_ids", ()))

    def unasked(self, index: int) -> frozenset[int]:
        return frozenset(range(len(self.names))) - self.absent(index)


def _synonyms(category: dict[str, Any]) -> list[str]:
    """The category's own name first, then its other names; underscores and brackets as people would write them."""
    listed = [category["name"], *category.get("synonyms", ())]
    plain = [str(name).replace("_", " ").replace(",", "").strip() for name in listed]
    return list(dict.fromkeys(plain))


def _photographs(root: Path) -> Path:
    beside = root.parent / "coco"
    return beside if not (root / "val2017").is_dir() and not (root / "train2017").is_dir() else root
