"""Play an hour of labelling in a minute, and make the pictures of docs/annotate.md.

A folder of four photographs is opened, a class list typed, an image segmented by it, objects corrected, the image
verified, the next one opened. Run it where there is a screen, or under Xvfb:

    xvfb-run -a -s "-screen 0 1600x1100x24" python examples/annotate_folder.py [FOLDER FOR THE PICTURES]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
from PIL import Image
from qtpy.QtWidgets import QApplication
from skimage import data

from napari_psalm.core.category_table import CategoryTable
from napari_psalm.widgets.annotator import AnnotatorWidget
from psalm.store import ImageState

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "images"
WINDOW = (1500, 1000)


class Play:
    """A window with the annotator, and a way to wait for it.

    Parameters
    ----------
    pictures : Path
        Where pictures go.
    """

    def __init__(self, pictures: Path) -> None:
        self.pictures = pictures
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*WINDOW)
        self.annotator = AnnotatorWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.annotator, name="PSALM annotator", area="right")
        self.workspace = self.annotator.workplace.workspace

    def wait(self, until: Callable[[], bool], seconds: float = 300) -> None:
        """Let the window live until a condition holds."""
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                raise TimeoutError("The window did not get there in time.")
            QApplication.processEvents()
            time.sleep(0.01)

    def show(self, path: str) -> None:
        """Go to an image of the folder."""
        image = next(image for image in self.workspace.queue.images if image.path == path)
        self.workspace.go_to(image)
        self.wait(lambda: self.workspace.image is not None and self.workspace.image.path == path)

    def segment(self) -> None:
        """Ask by class list and write what is found."""
        self.annotator.segment()
        self.wait(lambda: not self.annotator.session.runner.busy)
        if self.annotator.session.preview is not None:
            self.annotator.session.accept()

    def picture(self, name: str) -> None:
        """Keep a picture of the window."""
        end = time.monotonic() + 1
        self.wait(lambda: time.monotonic() > end)
        self.pictures.mkdir(parents=True, exist_ok=True)
        pixels = self.viewer.screenshot(canvas_only=False, flash=False)
        Image.fromarray(pixels).convert("RGB").quantize(192).save(self.pictures / f"{name}.png", optimize=True)
        print(f"{name}.png: {self.annotator.run.status.text()}")


def main(pictures: Path = PICTURES) -> None:
    """Label a folder."""
    folder = Path(tempfile.mkdtemp()) / "photographs"
    make_folder(folder)
    play = Play(pictures)
    objects, panel = play.annotator.objects, play.annotator.workplace
    play.workspace.open(folder)
    play.wait(lambda: play.workspace.layer is not None)
    play.annotator.question.classes.set_table(CategoryTable.from_text("coin / penny\ncracked coin"))

    play.show("coins.png")
    play.segment()
    ids = objects.table.objects.ids
    objects.table.choose(ids[:2])
    panel.give_class(2)
    play.picture("annotate-objects")

    play.workspace.set_state(ImageState.VERIFIED, move=True)
    play.wait(lambda: play.workspace.image is not None and play.workspace.image.path != "coins.png")
    play.picture("annotate-queue")

    panel.toggle_help()
    QApplication.processEvents()
    sheet = panel.sheet
    if sheet is not None:
        sheet.grab().save(str(pictures / "annotate-keys.png"))
    play.viewer.close()
    shutil.rmtree(folder.parent)


def make_folder(folder: Path) -> None:
    """Write four photographs."""
    folder.mkdir()
    for name in ("coins", "coffee", "cell", "chelsea"):
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="?", type=Path, default=PICTURES, help="folder for the pictures")
    main(parser.parse_args().pictures)
