"""COCO instance files: written exactly, read with care."""

from psalm.coco.checking import check_coco
from psalm.coco.faults import Fault
from psalm.coco.reading import read_coco
from psalm.coco.records import CocoAnnotation, CocoDataset, ImageEntry
from psalm.coco.writing import CocoWriter, write_coco

__all__ = [
    "CocoAnnotation",
    "CocoDataset",
    "CocoWriter",
    "Fault",
    "ImageEntry",
    "check_coco",
    "read_coco",
    "write_coco",
]
