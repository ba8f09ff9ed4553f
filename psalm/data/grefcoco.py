"""gRefCOCO as it is published: expressions of one object, of several, and of none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from psalm.conditions import Task
from psalm.data.layout import Layout, Part, read_json
from psalm.data.refcoco import find_photographs
from psalm.data.references import Reference, ReferenceReader, Sentences, check_record
from psalm.errors import AnnotationError

HOME = "the gRefCOCO repository (henghuiding/gRefCOCO)"
_FIELDS = ("image_id", "ann_id", "split", "sentences")
_NOTHING = -1


def layout() -> Layout:
    """What `GRefCoco` needs, beside the photographs."""
    parts = (Part("grefcoco/grefs(unc).json", "referring expressions"), Part("grefcoco/instances.json", "object masks"))
    return Layout("gRefCOCO", HOME, parts)


class GRefCoco(ReferenceReader):
    """Generalised referring expressions.

    Parameters
    ----------
    root : path
        Folder with ``grefcoco``.
    split : {"train", "val", "testA", "testB"}
    sentences : {"joined", "each"}
        See `ReferenceReader`.
    photographs : path, optional
        COCO's train2014; looked for at the usual places below `root` when not given.

    Raises
    ------
    AnnotationError
        When a file is missing or damaged, or the split is unknown.
    """

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        sentences: Sentences = "joined",
        photographs: Path | str | None = None,
    ) -> None:
        plan = layout()
        plan.require(root)
        path = Path(root) / plan.parts[0].path
        content = read_json(path, list)
        for record in content:
            check_record(record, _FIELDS, path)
        known = sorted({record["split"] for record in content})
        if split not in known:
            raise AnnotationError(f"{path} has no split {split!r}: it knows {', '.join(known)}.")
        references = [_reference(record) for record in content if record["split"] == split]
        instances = read_json(Path(root) / plan.parts[1].path, dict)
        super().__init__(
            "grefcoco",
            Task.GENERALISED_REFERRING,
            references,
            instances,
            find_photographs(root, photographs),
            sentences,
        )


def _reference(record: dict[str, Any]) -> Reference:
    listed = record["ann_id"] if isinstance(record["ann_id"], list) else [record["ann_id"]]
    ann_ids = tuple(int(ann_id) for ann_id in listed if ann_id != _NOTHING)
    sentences = tuple(str(sentence["sent"]) for sentence in record["sentences"])
    return Reference(int(record["image_id"]), ann_ids, sentences)
