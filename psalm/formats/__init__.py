"""Datasets as files of other programs, and back: every export is read back and compared before it appears."""

from psalm.formats.coco_export import Polygons, export_coco
from psalm.formats.coco_import import read_coco_file
from psalm.formats.geojson_export import export_geojson
from psalm.formats.masks_export import export_masks
from psalm.formats.masks_import import read_masks
from psalm.formats.merging import merge
from psalm.formats.panoptic_export import export_panoptic
from psalm.formats.panoptic_import import read_panoptic
from psalm.formats.records import ExportReport, ImportReport, Incoming
from psalm.formats.selection import read_states
from psalm.formats.yolo_export import export_yolo
from psalm.formats.yolo_import import read_yolo

__all__ = [
    "ExportReport",
    "ImportReport",
    "Incoming",
    "Polygons",
    "export_coco",
    "export_geojson",
    "export_masks",
    "export_panoptic",
    "export_yolo",
    "merge",
    "read_coco_file",
    "read_masks",
    "read_panoptic",
    "read_states",
    "read_yolo",
]
