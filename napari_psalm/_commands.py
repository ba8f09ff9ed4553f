"""What the menus call besides the widget itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_psalm.widgets.annotator import AnnotatorWidget


def open_folder() -> None:
    """Ask for a folder of images, or a dataset, and go through it in the annotator."""
    annotator = _annotator()
    if annotator is not None:
        annotator.workplace.panel.choose_folder()


def export_coco() -> None:
    """Write the objects that the annotator shows to a COCO file."""
    annotator = _annotator()
    if annotator is not None:
        annotator.objects.export_wanted.emit()


def _annotator() -> AnnotatorWidget | None:
    """The annotator of the current window; it is docked when it is not there."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is None:
        return None
    _, widget = viewer.window.add_plugin_dock_widget("napari-psalm", "PSALM annotator")
    return widget
