"""``python -m napari_psalm [IMAGE | FOLDER]``: napari with an image, a folder or a sample, and the annotator docked."""

from __future__ import annotations

import sys
from pathlib import Path


def main(path: str | None = None) -> None:
    """Open the window and wait until it is closed.

    Parameters
    ----------
    path : str, optional
        An image that napari can open, or a folder of images to work through; the sample of coins when not given.
    """
    import napari

    from napari_psalm._sample_data import coins
    from napari_psalm.widgets.annotator import AnnotatorWidget

    viewer = napari.Viewer(title="PSALM")
    if path is None:
        ((image, attributes, _),) = coins()
        viewer.add_image(image, **attributes)
    elif not Path(path).is_dir():
        viewer.open(path)
    annotator = AnnotatorWidget(viewer)
    viewer.window.add_dock_widget(annotator, name="PSALM annotator", area="right")
    if path is not None and Path(path).is_dir():
        annotator.workplace.workspace.open(path)
    napari.run()


if __name__ == "__main__":
    main(*sys.argv[1:2])
