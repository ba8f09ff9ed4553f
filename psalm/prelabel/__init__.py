"""Folders of images become datasets: resumable, on one machine or many, and no person's work is touched."""

from psalm.prelabel.exemplar_files import ExemplarFile
from psalm.prelabel.records import Failure, PrelabelReport
from psalm.prelabel.run import label_folder, prelabel
from psalm.prelabel.scanning import find_images

__all__ = ["ExemplarFile", "Failure", "PrelabelReport", "find_images", "label_folder", "prelabel"]
