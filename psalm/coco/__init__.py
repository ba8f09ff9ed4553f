"""COCO instance files: written exactly, read with care."""

from psalm.coco.reading import read_coco
from psalm.coco.records import CocoAnnotation, CocoDataset, ImageEntry
from psalm.coco.writing import CocoWriter, write_coco

__all__ = ["CocoAnnotation", "CocoDataset", "CocoWriter", "ImageEntry", "read_coco", "write_coco"]
