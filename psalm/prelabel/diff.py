"""What other weights would change about an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psalm.prelabel.matching import match
from psalm.prelabel.records import Outcome
from psalm.store import AnnotationStore, ImageState, StoredImage, StoredObject

FORMAT, VERSION = "psalm-relabel", 1


def can_be_asked_again(found: StoredObject) -> bool:
    """Whether an object is as a model made it; that a person asked for it does not matter."""
    origin = found.provenance
    return origin.origin == "model" and not origin.edited_pixels and not origin.edited_at and bool(origin.prompt)


def compare(store: AnnotationStore, image: StoredImage, outcome: Outcome) -> dict[str, Any]:
    """An entry of ``relabel.json``: objects that come, go and change.

    An answer to a class list or a sentence is matched with the old objects of its category, an answer to regions with
    the objects that the same regions gave, whatever category a person gave them. What is there by a person's hand is
    not found again as new.
    """
    objects = store.objects(image.id)
    old = [found for found in objects if can_be_asked_again(found)]
    entry = _Entry(store, image, outcome)
    for number, prompt in enumerate(outcome.item.prompts):
        if prompt["kind"] == "regions":
            entry.compare_regions([found for found in old if found.provenance.prompt == prompt], number)
    old = [found for found in old if found.provenance.prompt.get("kind") != "regions"]
    kept = [found for found in objects if found not in old]
    entry.compare_categories(old, kept)
    return entry.as_json()


class _Entry:
    """Collects the differences of an image."""

    def __init__(self, store: AnnotationStore, image: StoredImage, outcome: Outcome) -> None:
        self._image, self._outcome = image, outcome
        self._names = {category.id: category.name for category in store.categories()}
        known = {each.category: store.find_category(each.category) for each in outcome.objects}
        # A synonym is the category's other name.
        self._category_of = {name: category.name if category else name for name, category in known.items()}
        self._added: list[dict[str, Any]] = []
        self._removed: list[dict[str, Any]] = []
        self._changed: list[dict[str, Any]] = []
        self._unchanged = 0

    def compare_regions(self, old: Sequence[StoredObject], prompt: int) -> None:
        """Objects that regions gave may change; nothing comes or goes, for a person asked for each of them."""
        new = [position for position, found in enumerate(self._outcome.objects) if found.prompt == prompt]
        pairs = match([("", each.rle) for each in old], [("", self._outcome.objects[i].rle) for i in new])
        for pair in pairs:
            self._change(old[pair.first], new[pair.second], pair.iou)

    def compare_categories(self, old: Sequence[StoredObject], kept: Sequence[StoredObject]) -> None:
        """Objects that class lists and sentences gave."""
        kinds = [prompt["kind"] for prompt in self._outcome.item.prompts]
        new = [i for i, found in enumerate(self._outcome.objects) if kinds[found.prompt] != "regions"]
        codes = [(self._category_of[self._outcome.objects[i].category], self._outcome.objects[i].rle) for i in new]
        pairs = match([(self._names[each.category_id], each.rle) for each in old], codes)
        for pair in pairs:
            self._change(old[pair.first], new[pair.second], pair.iou)
        paired_old, paired_new = {pair.first for pair in pairs}, {pair.second for pair in pairs}
        there = {pair.second for pair in match([(self._names[each.category_id], each.rle) for each in kept], codes)}
        for position, each in enumerate(old):
            if position not in paired_old:
                name = self._names[each.category_id]
                self._removed.append({"object_id": each.id, "category": name, "score": each.score})
        for position, i in enumerate(new):
            if position not in paired_new | there:
                found = self._outcome.objects[i]
                new_object = {"category": codes[position][0], "is_thing": found.is_thing}
                self._added.append(new_object | self._answer(i))

    def as_json(self) -> dict[str, Any]:
        """The entry."""
        image = self._image
        return {
            "image_id": image.id,
            "path": image.path,
            "page": image.page,
            "height": image.height,
            "width": image.width,
            "prompts": [dict(prompt) for prompt in self._outcome.item.prompts],
            "added": self._added,
            "removed": self._removed,
            "changed": self._changed,
            "unchanged": self._unchanged,
            "applied": False,
        }

    def _change(self, old: StoredObject, new: int, iou: float) -> None:
        if iou == 1:
            self._unchanged += 1
            return
        before = {"object_id": old.id, "category": self._names[old.category_id], "iou": iou, "score_before": old.score}
        self._changed.append(before | self._answer(new))

    def _answer(self, position: int) -> dict[str, Any]:
        found = self._outcome.objects[position]
        return {"score": found.score, "rle": dict(found.rle), "prompt": found.prompt}


def is_open(store: AnnotationStore, entry: dict[str, Any]) -> bool:
    """Whether an entry may be applied without a person: nobody took the image up or touched one of its objects."""
    image = store.image(entry["image_id"])
    if image.state is not ImageState.PREDICTED:
        return False
    free = {found.id for found in store.unreviewed(image.id)}
    return {each["object_id"] for each in (*entry["removed"], *entry["changed"])} <= free
