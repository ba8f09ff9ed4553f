"""The data sets that can be read in their published layout, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from psalm.data import (
    ade20k,
    cityscapes,
    coco_folder,
    conversations,
    davis,
    grefcoco,
    interactive,
    lvis,
    pascal,
    refcoco,
)
from psalm.data.layout import Layout
from psalm.errors import AnnotationError


@dataclass(frozen=True)
class KnownDataset:
    """A data set.

    Parameters
    ----------
    open : callable
        (folder, split=..., **options) -> reader.
    layout : callable
        Split -> what belongs in the folder.
    splits : tuple of str
    places : tuple of str
        Names that its folder usually has below a folder of data sets; ``.`` is that folder itself.
    """

    open: Callable[..., Any]
    layout: Callable[[str], Layout]
    splits: tuple[str, ...]
    places: tuple[str, ...]


_COCO = ("coco", "COCO", "coco2017", ".")
_REFER = ("refseg", "refer_seg", "refer", ".")
_UNC, _UMD = ("train", "val", "testA", "testB"), ("train", "val", "test")
_TWO = ("train", "val")


def _refcoco(name: refcoco.Name) -> KnownDataset:
    return KnownDataset(
        partial(refcoco.RefCoco, name=name),
        lambda split: refcoco.layout(name),
        _UMD if name == "refcocog" else _UNC,
        _REFER,
    )


def _open_context(classes: int) -> Callable[..., Any]:
    return partial(pascal.PascalContext, classes=classes)


DATASETS: dict[str, KnownDataset] = {
    "coco-panoptic": KnownDataset(coco_folder.CocoPanoptic, coco_folder.panoptic_layout, _TWO, _COCO),
    "coco-instances": KnownDataset(coco_folder.CocoInstances, coco_folder.instances_layout, _TWO, _COCO),
    "coco-semantic": KnownDataset(coco_folder.CocoSemantic, coco_folder.panoptic_layout, _TWO, _COCO),
    "refcoco": _refcoco("refcoco"),
    "refcoco+": _refcoco("refcoco+"),
    "refcocog": _refcoco("refcocog"),
    "grefcoco": KnownDataset(grefcoco.GRefCoco, lambda split: grefcoco.layout(), _UNC, _REFER),
    "coco-interactive": KnownDataset(interactive.CocoInteractive, interactive.layout, _TWO, _COCO),
    "lvis": KnownDataset(lvis.Lvis, lvis.layout, _TWO, ("lvis", "LVIS", *_COCO)),
    "ade20k": KnownDataset(ade20k.Ade20k, ade20k.layout, _TWO, ("ADEChallengeData2016", ".")),
    "cityscapes": KnownDataset(cityscapes.Cityscapes, cityscapes.layout, _TWO, ("cityscapes", "Cityscapes", ".")),
    "pascal-voc": KnownDataset(pascal.PascalVoc, pascal.voc_layout, _TWO, ("VOCdevkit/VOC2012", "VOC2012", ".")),
    "pascal-context-59": KnownDataset(
        _open_context(59), lambda split: pascal.context_layout(59, split), _TWO, ("VOCdevkit/VOC2010", "VOC2010", ".")
    ),
    "pascal-context-459": KnownDataset(
        _open_context(459), lambda split: pascal.context_layout(459, split), _TWO, ("VOCdevkit/VOC2010", "VOC2010", ".")
    ),
    "davis": KnownDataset(davis.Davis, davis.layout, _TWO, ("DAVIS/2017/trainval", "DAVIS", ".")),
}

CONVERSATIONS: dict[str, KnownDataset] = {
    "llava-stage-1": KnownDataset(
        lambda root, split: conversations.Conversations(root, "blip_laion_cc_sbu_558k.json"),
        lambda split: conversations.layout("blip_laion_cc_sbu_558k.json"),
        ("train",),
        ("LLaVA-Pretrain", "llava", "."),
    ),
    "llava-stage-2": KnownDataset(
        lambda root, split: conversations.Conversations(root),
        lambda split: conversations.layout(),
        ("train",),
        ("llava", "llava_dataset", "."),
    ),
}  # fmt: skip


def find_root(name: str, folder: Path | str, split: str) -> Path:
    """Where below `folder` a data set lies: the usual place that has most of its parts.

    Raises
    ------
    AnnotationError
        When the data set is unknown.
    """
    known = _known(name)
    layout = known.layout(split)
    places = [Path(folder) / place for place in known.places]
    return min(places, key=lambda place: len(layout.missing(place)))


def open_dataset(name: str, folder: Path | str, split: str, **options: Any) -> Any:
    """A reader for a data set that lies in or below `folder`.

    Parameters
    ----------
    name : str
        One of `DATASETS`.
    folder : path
        The data set's own folder, or one of several data sets under their usual names.
    split : str
    **options
        Of the reader.

    Raises
    ------
    AnnotationError
        When the data set or split is unknown, or a file is missing or damaged.
    """
    found = _known(name)
    if split not in found.splits:
        raise AnnotationError(f"{name} has no split {split!r}: choose one of {', '.join(found.splits)}.")
    return found.open(find_root(name, folder, split), split=split, **options)


def _known(name: str) -> KnownDataset:
    known = DATASETS | CONVERSATIONS
    if name not in known:
        raise AnnotationError(f"There is no data set {name!r}: choose one of {', '.join(known)}.")
    return known[name]
