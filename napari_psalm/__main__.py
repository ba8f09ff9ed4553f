"""``python -m napari_psalm [IMAGE]``: napari with an image, or a sample, and the annotator docked."""

from __future__ import annotations

import sys


def main(path: str | None = None) -> None:
    """Open the window and wait until it is closed.

    Parameters
    ----------
    path : str, optional
        An image that napari can open; the sample of coins when not given.
    """
    import napari

    from napari_psalm._sample_data import coins
    from napari_psalm.widgets.annotator import AnnotatorWidget

    viewer = napari.Viewer(title="PSALM")
    if path:
        viewer.open(path)
    else:
        ((image, attributes, _),) = coins()
        viewer.add_image(image, **attributes)
    viewer.window.add_dock_widget(AnnotatorWidget(viewer), name="PSALM annotator", area="right")
    napari.run()


if __name__ == "__main__":
    main(*sys.argv[1:2])
