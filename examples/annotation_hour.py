"""An hour of labelling in two minutes: a folder, a class list, one key, corrections, another day, the export.

It plays what docs/annotate.md tells, in a real window and with the shipped model, and takes the pictures. Run it
where there is a screen, or under Xvfb:

    xvfb-run -a -s "-screen 0 1600x1000x24" python examples/annotation_hour.py [FOLDER FOR THE PICTURES]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from skimage import data

from napari_psalm.core.category_table import CategoryTable
from napari_psalm.widgets.annotator import AnnotatorWidget
from napari_psalm.widgets.question_panel import CLASSES, PROMPTS, SENTENCE

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "images" / "annotate"
WINDOW = (1500, 960)


class Hour:
    """A window with the annotator on a folder of images; each method is a step, and says what came of it."""

    def __init__(self, folder: Path, pictures: Path) -> None:
        self.folder, self.pictures = folder, pictures
        pictures.mkdir(parents=True, exist_ok=True)
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*WINDOW)
        self.annotator = AnnotatorWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.annotator, name="PSALM annotator", area="right")
        self.pause(0.5)
        self.annotator.workplace.workspace.open(folder)
        self.wait(lambda: self.annotator.result.layers.layer is not None)
        self.viewer.reset_view()
        self.settle()

    def wait(self, until: Callable[[], bool], seconds: float = 300) -> None:
        """Let the window live until a condition holds."""
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                raise TimeoutError("The window did not get there in time.")
            QApplication.processEvents()
            time.sleep(0.005)

    def pause(self, seconds: float) -> None:
        """Let the window live for a while."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end)

    def settle(self) -> None:
        """Wait until nothing is asked any more."""
        self.pause(0.3)
        self.wait(lambda: not self.annotator.session.runner.busy)
        self.pause(0.3)

    def picture(self, name: str) -> None:
        """Save the window."""
        self.pause(0.5)
        pixels = self.viewer.screenshot(canvas_only=False, flash=False)
        Image.fromarray(pixels).convert("RGB").quantize(192).save(self.pictures / f"{name}.png", optimize=True)
        print(f"{name}: {self.annotator.run.status.text()}")

    def at(self, row: float, column: float) -> QPoint:
        """Where the canvas shows a place of the image."""
        camera, canvas = self.viewer.scene.camera, self.viewer.window._qt_viewer.canvas.native
        x = (column - camera.center[-1]) * camera.zoom + canvas.width() / 2
        y = (row - camera.center[-2]) * camera.zoom + canvas.height() / 2
        return QPoint(round(x), round(y))

    def click(self, row: float, column: float) -> None:
        """Click on the image."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=self.at(row, column))
        self.settle()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag over the image."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=self.at(*start))
        for share in np.linspace(0.2, 1, 5):
            QTest.mouseMove(canvas, self.at(*(np.asarray(start) + share * np.subtract(end, start))))
            QApplication.processEvents()
        QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=self.at(*end))
        self.settle()

    def name_everything(self) -> None:
        """One key segments the image by class; a slider decides without the model."""
        question = self.annotator.question
        question.classes.set_table(CategoryTable.from_text("coin"))
        question.mode.choose(CLASSES)
        self.annotator.segment()
        self.settle()
        self.picture("1-class-list")
        limits = self.annotator.preview.limits
        limits.sliders["score"].slider.setValue(170)
        self.settle()
        self.picture("2-slider")
        limits.reset.click()
        self.settle()
        self.annotator.session.accept()
        self.picture("3-accepted")

    def correct(self) -> None:
        """Delete an object and click it back; draw a box; keep a neighbour out; paint; refine."""
        annotator, session = self.annotator, self.annotator.session
        labels = annotator.result.layers.layer
        labels.selected_label = int(labels.data[119, 271])
        annotator.objects.edit("delete")
        annotator.question.ready_for_clicks()
        self.click(119, 271)
        self.picture("4-click")
        session.accept()
        labels.selected_label = int(labels.data[198, 102])
        annotator.objects.edit("delete")
        annotator.question.prompts.add_shapes()
        self.drag((170, 77), (222, 128))
        annotator.question.ready_for_clicks()
        annotator.question.prompts.meaning.choose(1)
        self.click(198, 154)
        self.picture("5-box-and-exclusion")
        annotator.question.prompts.meaning.choose(0)
        session.accept()
        labels.selected_label = int(labels.data[119, 271])
        self.viewer.layers.selection.active = labels
        labels.paint((119, 300), labels.selected_label)
        annotator.refine()
        self.settle()
        self.picture("6-refine")
        session.reject()
        labels.undo()

    def describe(self) -> None:
        """A sentence finds one more."""
        question = self.annotator.question
        question.mode.choose(SENTENCE)
        question.sentence.setText("the coin at the bottom right")
        self.annotator.segment()
        self.settle()
        self.picture("7-sentence")
        self.annotator.session.reject()

    def look_closer(self) -> None:
        """Small objects get more of the model when it sees the view alone."""
        self.viewer.scene.camera.zoom *= 2
        self.pause(0.3)
        self.annotator.look_at.choose(1)
        self.annotator.question.mode.choose(PROMPTS)
        self.annotator.question.ready_for_clicks()
        self.click(124, 206)
        self.picture("8-view")
        self.annotator.session.reject()
        self.annotator.look_at.choose(0)
        self.viewer.reset_view()

    def next_image(self) -> None:
        """Verify this image, and go on to the next."""
        from psalm.store import ImageState

        workspace = self.annotator.workplace.workspace
        before = workspace.image
        workspace.set_state(ImageState.VERIFIED, move=True)
        self.wait(lambda: workspace.image is not None and before is not None and workspace.image.id != before.id)
        self.settle()
        self.picture("9-next-image")

    def close(self) -> None:
        """Go home."""
        self.annotator.shut_down()
        self.viewer.close()
        self.pause(0.3)


def write_images(folder: Path) -> None:
    """A small dataset: coins, and the same coins on another day."""
    coins = data.coins()
    for name, pixels in (("coins-1", coins), ("coins-2", coins[::-1, ::-1]), ("coins-3", coins[:, ::-1])):
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{name}.png")


def main(pictures: Path = PICTURES) -> None:
    """Play the hour."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "coins"
        folder.mkdir()
        write_images(folder)
        hour = Hour(folder, pictures)
        for step in (hour.name_everything, hour.correct, hour.describe, hour.look_closer, hour.next_image):
            step()
        hour.close()
        tomorrow = Hour(folder, pictures)
        tomorrow.picture("10-tomorrow")
        workspace = tomorrow.annotator.workplace.workspace
        workspace.step(-1)
        tomorrow.pause(1)
        tomorrow.settle()
        tomorrow.annotator.export_to(folder / "coco.json")
        print(tomorrow.annotator.run.status.text())
        tomorrow.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="?", type=Path, default=PICTURES, help="folder for the pictures")
    main(parser.parse_args().pictures)
