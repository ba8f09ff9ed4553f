"""Make docs/images/annotator.png: the annotator at work in a real window, with the shipped model.

Run it where there is a screen, or under Xvfb:

    xvfb-run -a -s "-screen 0 1600x1000x24" python examples/annotator_screenshot.py [FILE.png]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

from napari_psalm._sample_data import coins
from napari_psalm.widgets.annotator import AnnotatorWidget
from napari_psalm.widgets.question_panel import CLASSES

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "annotator.png"
WINDOW = (1400, 880)
CLICK = (119, 271)


def wait(until: Callable[[], bool], seconds: float = 120) -> None:
    """Let the window live until a condition holds."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("The window did not get there in time.")
        QApplication.processEvents()
        time.sleep(0.01)


def pause(seconds: float) -> None:
    """Let the window live for a while, so that everything is drawn."""
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end)


def main(path: Path = PICTURE) -> None:
    """Click one coin, find the others by their name, and take the picture."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*WINDOW)
    ((image, attributes, _),) = coins()
    viewer.add_image(image, **attributes)
    annotator = AnnotatorWidget(viewer)
    viewer.window.add_dock_widget(annotator, name="PSALM annotator", area="right")
    pause(1)

    annotator.question.prompts.add_points()
    viewer.layers["clicks"].add([CLICK])
    wait(lambda: annotator.session.preview is not None)
    annotator.session.accept()
    annotator.question.mode.choose(CLASSES)
    annotator.segment()
    wait(lambda: annotator.session.preview is not None)
    print(annotator.run.status.text())

    viewer.layers.selection.active = annotator.result.layers.layer
    viewer.reset_view()
    pause(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    annotator.session.accept()
    print(f"{annotator.objects.count.text()} in {path}")
    viewer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", nargs="?", type=Path, default=PICTURE, help="the file that is written")
    main(parser.parse_args().picture)
