"""RefCOCO, RefCOCO+ and RefCOCOg as the REFER data set publishes them: pickled references over COCO 2014."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from psalm.conditions import Task
from psalm.data.layout import Layout, Part, read_json
from psalm.data.references import Reference, ReferenceReader, Sentences, check_record
from psalm.errors import AnnotationError
from psalm.restricted_pickle import read_plain_pickle

HOME = "the REFER data set (lichengunc/refer)"
COCO_2014 = "the COCO website, Download, 2014"
PHOTOGRAPHS = ("images/mscoco/images/train2014", "images/mscoco/train2014", "images/train2014", "train2014")

Name = Literal["refcoco", "refcoco+", "refcocog"]
_SPLIT_BY = {"refcoco": "unc", "refcoco+": "unc", "refcocog": "umd"}
_FIELDS = ("image_id", "ann_id", "split", "sentences")


def layout(name: str = "refcoco", split_by: str | None = None) -> Layout:
    """What `RefCoco` needs, beside the photographs."""
    parts = (
        Part(f"{name}/refs({split_by or _SPLIT_BY[name]}).p", "referring expressions"),
        Part(f"{name}/instances.json", "object masks"),
    )
    return Layout({"refcoco": "RefCOCO", "refcoco+": "RefCOCO+", "refcocog": "RefCOCOg"}[name], HOME, parts)


class RefCoco(ReferenceReader):
    """One of the three data sets; each reference has one object and some sentences.

    Parameters
    ----------
    root : path
        Folder with ``refcoco``, ``refcoco+`` and ``refcocog``.
    name : {"refcoco", "refcoco+", "refcocog"}
    split : str
        train, val, testA, testB; RefCOCOg has train, val and test.
    split_by : str, optional
        Who made the split: unc (the default), google; for RefCOCOg umd (the default) or google.
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
        name: Name = "refcoco",
        split: str = "train",
        split_by: str | None = None,
        sentences: Sentences = "joined",
        photographs: Path | str | None = None,
    ) -> None:
        if name not in get_args(Name):
            raise AnnotationError(f"There is no {name!r}: choose one of {', '.join(get_args(Name))}.")
        plan = layout(name, split_by)
        plan.require(root)
        path = Path(root) / plan.parts[0].path
        references = read_references(path, split)
        instances = read_json(Path(root) / plan.parts[1].path, dict)
        super().__init__(name, Task.REFERRING, references, instances, find_photographs(root, photographs), sentences)


def read_references(path: Path, split: str) -> list[Reference]:
    """The references of a split of a pickled file."""
    content = read_plain_pickle(path)
    if not isinstance(content, list):
        raise AnnotationError(f"{path} holds no list of references: get the published file.")
    for record in content:
        check_record(record, _FIELDS, path)
    known = sorted({record["split"] for record in content})
    if split not in known:
        raise AnnotationError(f"{path} has no split {split!r}: it knows {', '.join(known)}.")
    return [_reference(record) for record in content if record["split"] == split]


def find_photographs(root: Path | str, given: Path | str | None) -> Path:
    """The folder of COCO's train2014.

    Raises
    ------
    AnnotationError
        When it is at none of the usual places.
    """
    places = [Path(given)] if given else [Path(root) / place for place in PHOTOGRAPHS]
    # Many keep COCO beside the folder of references.
    places += [] if given else [Path(root).parent / "coco" / "train2014"]
    for place in places:
        if place.is_dir():
            return place
    looked = ", ".join(map(str, places))
    raise AnnotationError(f"COCO's photographs train2014 are at none of {looked}: get them from {COCO_2014}.")


def _reference(record: dict[str, Any]) -> Reference:
    sentences = tuple(str(sentence["sent"]) for sentence in record["sentences"])
    return Reference(int(record["image_id"]), (int(record["ann_id"]),), sentences)
